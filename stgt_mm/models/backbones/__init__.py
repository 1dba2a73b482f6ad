"""Backbones: from normalised frames [B, T, 3, H, W] to tokens [B, T, 1+N, C]."""

from stgt_mm.models.backbones.grouped_vit import GroupedTokens, GroupedViT
from stgt_mm.models.backbones.timm_vit import TimmViT

__all__ = ['GroupedTokens', 'GroupedViT', 'TimmViT']
