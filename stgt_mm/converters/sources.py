"""The kinds of weights that can be converted, by name."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from stgt_mm.converters import answerers, bert, eva, hf_blip2, lavis_blip2, openai_clip, released_stgt
from stgt_mm.converters.converted import Converted
from stgt_mm.utils import did_you_mean

BACKBONE = 'backbone.vit.'
PARTS = ('all', 'backbone', 'no_backbone')
_NEW = 'trained from its start'
_BACKBONE_GAP = {r'backbone\.vit\.': 'comes from backbone.checkpoint'}
_NO_NECK = {r'neck\.': _NEW}
_LANGUAGE_GAP = {r'language_model\.': 'comes from language_model.pretrained'}


class Source(NamedTuple):
    """A kind of weights: how it is converted, and what of an aligner it does not have."""

    convert: Callable[[Mapping[str, Tensor]], Converted]
    about: str  # what it is, in a line
    prefix: str = ''  # what stands before its names in an aligner
    part: str = 'all'  # the part that is written unless another is asked for
    gaps: Mapping[str, str] = {}  # patterns of the beginnings of keys that it lacks, each with the reason


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
    'hf_blip2_answerer': Source(
        answerers.convert_hf,
        'Blip2ForConditionalGeneration or InstructBLIP of Hugging Face, OPT or Vicuna; needs --config',
        gaps={**_NO_NECK, **_LANGUAGE_GAP},
    ),
    'lavis_blip2_answerer': Source(
        answerers.convert_lavis,
        'Blip2OPT or Blip2VicunaInstruct of LAVIS; needs --config',
        gaps={**_NO_NECK, **_BACKBONE_GAP, **_LANGUAGE_GAP},
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
    """Converts weights of a kind in ``SOURCES`` to the keys of an aligner; another name is a ValueError."""
    if name not in SOURCES:
        raise ValueError(f"there is no source '{name}'. {did_you_mean(name, SOURCES)}")
    out = Converted()
    out.merge(SOURCES[name].convert(state_dict), prefix=SOURCES[name].prefix)
    return out


def select_part(converted: Converted, part: str) -> Converted:
    """Takes a part of an aligner's keys; of the rest, that it was left aside."""
    if part not in PARTS:
        raise ValueError(f"part is '{part}': choose one of {', '.join(PARTS)}.")
    out = Converted()
    out.merge(converted)
    for name in converted:
        if part != 'all' and name.startswith(BACKBONE) != (part == 'backbone'):
            out.leave(name, f'not in the part {part}')
    if converted and not out:
        raise ValueError(f"the source has nothing of the part '{part}'.")
    return out
