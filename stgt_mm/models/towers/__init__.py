"""Public dual encoders: a tower for frames, a tower for texts, one space."""

from stgt_mm.models.towers.base import Towers
from stgt_mm.models.towers.open_clip_towers import OpenCLIPTowers
from stgt_mm.models.towers.transformers_towers import TransformersTowers

__all__ = ['OpenCLIPTowers', 'Towers', 'TransformersTowers']
