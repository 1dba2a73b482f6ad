"""From a weight file to a weight file: read, convert, compare with the model, write, account."""

from pathlib import Path
from typing import Any

from torch import nn

from stgt_mm.config import load_config
from stgt_mm.converters import openai_clip
from stgt_mm.converters.converted import Converted
from stgt_mm.converters.position import resize_positions
from stgt_mm.converters.report import MAX_UNKNOWN, Report, account, check, report_lines
from stgt_mm.converters.sources import BACKBONE, SOURCES, convert_source, select_part
from stgt_mm.io.weight_files import read_state, write_safetensors
from stgt_mm.io.whole_file import whole_file
from stgt_mm.random_weights import build_on_meta

DEFAULT_CONFIG = Path(__file__).parents[2] / 'configs/_base_/models/stgt_vitg.py'


def convert_file(
    source: str,
    path: str,
    out: str,
    config: str | None = None,
    part: str | None = None,
    img_size: int | None = None,
    max_unknown: int = MAX_UNKNOWN,
    force: bool = False,
) -> Report:
    """Converts a file or folder of weights and compares the result with the model of a config.

    Every key is accounted for beside ``out``, in ``.report.txt``. What is damaged, has another ending or does
    not fit the model is a ValueError, and nothing is written unless ``force``.

    Without ``config`` the model is the full-size one, with the embedding width of the source (256 or 1024);
    for OpenAI's encoders, timm's model of their size. ``part`` is 'all', 'backbone' or 'no_backbone', by
    default that of the source; a backbone alone has timm's names, for ``backbone.checkpoint``. ``img_size``
    is the side of the frames in pixels, to which position embeddings are resized.
    """
    if Path(out).suffix != '.safetensors':
        raise ValueError(f"OUT '{out}' must end in .safetensors.")
    state = read_state(path, skip_objects=True)
    if not state:
        raise ValueError(f"'{path}' holds no tensors at all: is it the file that you mean?")
    converted = select_part(convert_source(source, state), part or SOURCES[source].part)
    if img_size is not None:
        converted = resize_positions(converted, img_size, prefix=BACKBONE)
    gaps = {**SOURCES[source].gaps, **converted.gaps}
    report = account(converted, _target(source, converted, config, img_size), gaps)
    if not force or not report.mapped:
        check(report, max_unknown)
    prefix = BACKBONE if all(name.startswith(BACKBONE) for name in converted) else ''
    state = {name.removeprefix(prefix): tensor for name, tensor in converted.items()}
    write_safetensors(state, out, {'source': source, 'made_from': Path(path).name})
    with whole_file(report_path(out)) as partial:
        partial.write_text('\n'.join([f'{path} -> {out}', *report_lines(report, whole=True)]) + '\n')
    return report


def report_path(out: str) -> Path:
    """Returns where every key of a conversion is listed, beside the file that it writes."""
    return Path(out).with_suffix('.report.txt')


def _target(
    source: str, converted: Converted, config: str | None, img_size: int | None
) -> dict[str, tuple[int, ...]]:
    """The names and shapes that the conversion must have; of a part, those of the part."""
    if config is None and not DEFAULT_CONFIG.is_file():
        raise FileNotFoundError(
            f"there is no '{DEFAULT_CONFIG}' to compare with: an installed package comes without configs. "
            'Give the config of your model as config (--config); those of this project are in the folder '
            'configs of its source tree.'
        )
    model = load_config(str(config or DEFAULT_CONFIG), {}).to_dict().get('model')
    if model is None:
        raise ValueError(f"the config '{config}' has no model: give one of configs/_base_/models or above.")
    backbone: dict[str, Any] = {} if img_size is None else {'img_size': img_size}
    if source == 'openai_clip':
        # its weights are kept: whether they are used is for the config to say
        backbone['final_norm'] = True
        if config is None:
            model['backbone'] = {'type': 'TimmViT'}
            backbone['model_name'] = openai_clip.timm_name(converted, BACKBONE)
    model['backbone'] = {**model['backbone'], **backbone}
    projection = converted.get('contrastive_head.text_proj.weight')
    if config is None and projection is not None:
        model['contrastive_head'] = {**model['contrastive_head'], 'embed_dim': len(projection)}
    if model['qformer'].get('vocab_size') is not None:
        model['data_preprocessor'] = {'type': nn.Identity}  # else its vocabulary gives the size
    shapes = {name: tuple(tensor.shape) for name, tensor in build_on_meta(model).state_dict().items()}
    kinds = {name.startswith(BACKBONE) for name in converted}
    return {name: shape for name, shape in shapes.items() if name.startswith(BACKBONE) in kinds}
