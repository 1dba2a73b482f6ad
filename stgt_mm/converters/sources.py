"""The kinds of weights that can be converted, by name."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from stgt_mm.converters import bert, eva, hf_blip2, lavis_blip2, openai_clip, released_stgt
from stgt_mm.converters.converted import Converted
from stgt_mm.utils import did_you_mean

BACKBONE = 'backbone.vit.'
PARTS = ('all', 'backbone', 'no_backbone')
_NEW = 'trained from its start'
_BACKBONE_GAP = {r'backbone\.vit\.': 'comes from backbone.checkpoint'}
_NO_NECK = {r'neck\.': _NEW}


class Source(NamedTuple):
    """A kind of weights.

    Attributes:
        convert: The pure function.
        about: What it is, in a line.
        prefix: What stands before its names in an aligner.
        part: The part that is written unless another is asked for.
        gaps: Patterns of the beginnings of an aligner's keys that this source does not have, each with the
            reason.
    """

    convert: Callable[[Mapping[str, Tensor]], Converted]
    about: str
    prefix: str = ''
    part: str = 'all'
    gaps: Mapping[str, str] = {}


SOURCES = {
    'eva': Source(
        eva.convert,
        'eva_vit_g.pth of LAVIS, or a ViT-g of EVA-CLIP; the last of 40 blocks is dropped',
        prefix=BACKBONE,
        part='backbone',
    ),
    'openai_clip': Source(
        openai_clip.convert,
        "OpenAI CLIP ViT-B/32, B/16 or L/14: OpenAI's state dict or a folder of openai/clip-vit-*",
        prefix=BACKBONE,
        part='backbone',
    ),
    'hf_blip2': Source(
        hf_blip2.convert,
        'Blip2ForImageTextRetrieval or Blip2VisionModel of Hugging Face, or what export.py wrote',
        gaps={
            **_NO_NECK,
            r'qformer\.causal_head\.': 'Hugging Face has no caption head',
            r'contrastive_head\.temp$': 'Hugging Face has no temperature',
        },
    ),
    'lavis_blip2': Source(
        lavis_blip2.convert,
        'blip2_pretrained*.pth of LAVIS',
        gaps={**_NO_NECK, **_BACKBONE_GAP},
    ),
    'released_stgt': Source(
        released_stgt.convert,
        "the STGT authors' checkpoint_*.pth",
        gaps=_BACKBONE_GAP,
    ),
    'bert': Source(
        bert.convert,
        'bert-base-uncased, the start of a Q-Former',
        gaps={
            **_NO_NECK,
            **_BACKBONE_GAP,
            r'(vision_norm|contrastive_head|matching_head)\.': _NEW,
            r'qformer\.embeddings\.queries$': 'BERT has no queries',
            r'qformer\.layers\.\d+\.cross_': 'BERT has no cross-attention',
            r'qformer\.causal_head\.': 'an encoder alone has no head',
        },
    ),
}


def convert_source(name: str, state_dict: Mapping[str, Tensor]) -> Converted:
    """Converts weights of a named kind to the keys of an aligner.

    Args:
        name: A key of ``SOURCES``.
        state_dict: Names and tensors of the source.

    Returns:
        Keys of a :class:`stgt_mm.models.VideoTextAligner`.

    Raises:
        ValueError: If the name is not known.
    """
    if name not in SOURCES:
        raise ValueError(f"there is no source '{name}'. {did_you_mean(name, SOURCES)}")
    out = Converted()
    out.merge(SOURCES[name].convert(state_dict), prefix=SOURCES[name].prefix)
    return out


def select_part(converted: Converted, part: str) -> Converted:
    """Takes a part of a conversion.

    Args:
        converted: Keys of an aligner.
        part: 'all', 'backbone' or 'no_backbone'.

    Returns:
        That part, keys unchanged; of the rest, that it was left aside.

    Raises:
        ValueError: If there is nothing in that part.
    """
    if part not in PARTS:
        raise ValueError(f"part is '{part}': choose one of {', '.join(PARTS)}.")
    out = Converted()
    out.left_aside = dict(converted.left_aside)
    out.unknown = list(converted.unknown)
    out.gaps = dict(converted.gaps)
    for name, tensor in converted.items():
        if part == 'all' or name.startswith(BACKBONE) == (part == 'backbone'):
            out[name] = tensor
            out.origin[name] = converted.origin[name]
        else:
            out.left_aside.update(dict.fromkeys(converted.origin[name], f'not in the part {part}'))
    out.filled = {name: why for name, why in converted.filled.items() if name in out}
    if converted and not out:
        raise ValueError(f"the source has nothing of the part '{part}'.")
    return out
