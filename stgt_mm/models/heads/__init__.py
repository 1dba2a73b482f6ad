"""Heads: contrastive comparison, matching, captioning and answers."""

from stgt_mm.models.heads.answer_head import AnswerHead
from stgt_mm.models.heads.caption_head import CaptionHead
from stgt_mm.models.heads.contrastive_head import Contrast, ContrastiveHead
from stgt_mm.models.heads.matching_head import MatchingHead, NegativeIndices
from stgt_mm.models.heads.structure import NounGroundingHead, TemporalGroupingHead, VideoStructure

__all__ = [
    'AnswerHead',
    'CaptionHead',
    'Contrast',
    'ContrastiveHead',
    'MatchingHead',
    'NegativeIndices',
    'NounGroundingHead',
    'TemporalGroupingHead',
    'VideoStructure',
]
