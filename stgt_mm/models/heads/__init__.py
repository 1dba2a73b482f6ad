"""Heads: contrastive comparison, matching and captioning."""

from stgt_mm.models.heads.caption_head import CaptionHead
from stgt_mm.models.heads.contrastive_head import Contrast, ContrastiveHead
from stgt_mm.models.heads.matching_head import MatchingHead, NegativeIndices

__all__ = ['CaptionHead', 'Contrast', 'ContrastiveHead', 'MatchingHead', 'NegativeIndices']
