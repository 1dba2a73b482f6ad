"""From a weight file to a weight file: read, convert, compare with the model, write, account."""

from pathlib import Path
from typing import Any

from stgt_mm.converters import openai_clip
from stgt_mm.converters.converted import Converted
from stgt_mm.converters.position import resize_positions
from stgt_mm.converters.report import MAX_UNKNOWN, Report, account, check, report_lines
from stgt_mm.converters.sources import BACKBONE, SOURCES, convert_source, select_part
from stgt_mm.converters.target import config_shapes
from stgt_mm.io.weight_files import read_state, write_safetensors

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

    Args:
        source: A key of :data:`stgt_mm.converters.sources.SOURCES`.
        path: File or folder.
        out: ``.safetensors`` file to write. Every key is accounted for beside it, in ``.report.txt``.
        config: Config of the model that the weights are for; None takes the full-size model, with the
            embedding width of the source (256 or 1024); for OpenAI's encoders, timm's model of their size.
        part: 'all', 'backbone' or 'no_backbone'; None takes that of the source. A backbone alone has
            timm's names, for ``backbone.checkpoint``.
        img_size: Side of the frames, to which position embeddings are resized; None leaves them.
        max_unknown: Names in the source that may be unknown.
        force: Whether to write what does not fit.

    Returns:
        The account.

    Raises:
        FileNotFoundError: If a file is missing, or ``config`` is None and the package was installed without
            the configs of the project.
        ValueError: If a file is damaged, ``out`` has another ending, or the result does not fit the model.
    """
    if Path(out).suffix != '.safetensors':
        raise ValueError(f"OUT '{out}' must end in .safetensors.")
    converted = convert_source(source, read_state(path, skip_objects=True))
    converted = select_part(converted, part or SOURCES[source].part)
    if img_size is not None:
        converted = resize_positions(converted, img_size, prefix=BACKBONE)
    gaps = {**SOURCES[source].gaps, **converted.gaps}
    report = account(converted, _target(source, converted, config, img_size), gaps)
    if not force or not report.mapped:
        check(report, max_unknown)
    prefix = BACKBONE if all(name.startswith(BACKBONE) for name in converted) else ''
    state = {name.removeprefix(prefix): tensor for name, tensor in converted.items()}
    write_safetensors(state, out, {'source': source, 'made_from': Path(path).name})
    lines = report_lines(report, whole=True)
    report_path(out).write_text('\n'.join([f'{path} -> {out}', *lines]) + '\n')
    return report


def report_path(out: str) -> Path:
    """Returns where every key of a conversion is listed.

    Args:
        out: The file that the conversion writes.

    Returns:
        A path beside it.
    """
    return Path(out).with_suffix('.report.txt')


def _target(
    source: str, converted: Converted, config: str | None, img_size: int | None
) -> dict[str, tuple[int, ...]]:
    """The keys that the conversion must have; of a part, those of the part."""
    changes: dict[str, dict[str, Any]] = {'backbone': {} if img_size is None else {'img_size': img_size}}
    if source == 'openai_clip':
        # its weights are kept: whether they are used is for the config to say
        changes['backbone']['final_norm'] = True
        if config is None:
            changes['backbone'].update(type='TimmViT', model_name=openai_clip.timm_name(converted, BACKBONE))
    projection = converted.get('contrastive_head.text_proj.weight')
    if config is None and projection is not None:
        changes['contrastive_head'] = {'embed_dim': len(projection)}
    if config is None and not DEFAULT_CONFIG.is_file():
        raise FileNotFoundError(
            f"there is no '{DEFAULT_CONFIG}' to compare with: an installed package comes without configs. "
            'Give the config of your model as config (--config); those of this project are in the folder '
            'configs of its source tree.'
        )
    shapes = config_shapes(str(config or DEFAULT_CONFIG), changes)
    kinds = {name.startswith(BACKBONE) for name in converted}
    return {name: shape for name, shape in shapes.items() if name.startswith(BACKBONE) in kinds}
