"""Heads: contrastive comparison, matching, captioning, answers and actions."""

from stgt_mm.models.heads.action_head import ActionHead
from stgt_mm.models.heads.answer_head import AnswerHead
from stgt_mm.models.heads.caption_head import CaptionHead
from stgt_mm.models.heads.contrastive_head import Contrast, ContrastiveHead
from stgt_mm.models.heads.matching_head import MatchingHead, NegativeIndices
from stgt_mm.models.heads.structure import NounGroundingHead, TemporalGroupingHead, VideoStructure

__all__ = [
    'ActionHead',
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
