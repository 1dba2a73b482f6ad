"""Whole models: thin assemblies of registered parts."""

from stgt_mm.models.aligners.video_text_aligner import VideoFeatures, VideoTextAligner

__all__ = ['VideoFeatures', 'VideoTextAligner']
