"""Whole models: thin assemblies of registered parts."""

from stgt_mm.models.aligners.base import VideoFeatures
from stgt_mm.models.aligners.dual_encoder import DualEncoder
from stgt_mm.models.aligners.s_vilm import SViLM
from stgt_mm.models.aligners.video_text_aligner import VideoTextAligner

__all__ = ['DualEncoder', 'SViLM', 'VideoFeatures', 'VideoTextAligner']
