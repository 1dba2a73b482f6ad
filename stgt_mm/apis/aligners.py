"""Models that align video with text, by name or file of their config, trained or as published."""

from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from stgt_mm.apis.base import load_model
from stgt_mm.config import load_config
from stgt_mm.engine.needed_files import check_needed_files
from stgt_mm.registry import MODELS
from stgt_mm.utils import did_you_mean

PRETRAINED = 'pretrained'  # in place of a checkpoint


def load_aligner(
    config: str | Path | Config, checkpoint: str | Path | None, device: str | None
) -> tuple[nn.Module, Config]:
    """Loads a model as ``load_model``, or for ``'pretrained'`` with the weights that the config names."""
    if not isinstance(config, Config):
        config = load_config(find_config(config))
    if checkpoint != PRETRAINED:
        model, cfg = load_model(config, checkpoint, device)
    else:
        check_needed_files({'model': config.model, 'made_by': config.get('made_by')}, reads=())
        model, cfg = MODELS.build(config.model).to(device or get_device()).eval(), config
        if not getattr(model, 'is_complete', False):
            raise ValueError(f'a {type(model).__name__} is not whole as published: name a checkpoint.')
    if not hasattr(model, 'encode_text'):
        raise ValueError(
            f'a {type(model).__name__} does not encode texts and cannot search: give the config of a '
            'VideoTextAligner, configs/moving_shapes/stgt_tiny.py for example.'
        )
    return model, cfg


def find_config(config: str | Path) -> Path:
    """Finds a config by its path, or by its name below ``configs/``: ``'moving_shapes/stgt_tiny'``."""
    if Path(config).suffix == '.py':
        return Path(config)
    known = {path.stem: path for path in Path('configs').rglob('*.py') if '_base_' not in path.parts}
    name = Path(config).name
    if name not in known or not known[name].with_suffix('').match(str(config)):
        raise FileNotFoundError(f"no config is called '{config}' below configs/. {did_you_mean(name, known)}")
    return known[name]
