"""Objectives: they hold no parameters and are averaged over the global batch."""

from stgt_mm.models.losses.contrastive import CSAL, VTC
from stgt_mm.models.losses.fusion import VTG, VTM

__all__ = ['CSAL', 'VTC', 'VTG', 'VTM']
