"""Necks: from the tokens of the frames [B, T, 1+N, C] to video tokens [B, M, C]."""

from stgt_mm.models.necks.base import BaseNeck
from stgt_mm.models.necks.cross_frame import CrossFrameNeck
from stgt_mm.models.necks.mean_pool import MeanPoolNeck
from stgt_mm.models.necks.stgt import STGT

__all__ = ['STGT', 'BaseNeck', 'CrossFrameNeck', 'MeanPoolNeck']
