"""Trained models for use from Python: a model and a video go in, an answer comes out."""

from stgt_mm.apis.retriever import Hit, RankedText, VideoTextRetriever

__all__ = ['Hit', 'RankedText', 'VideoTextRetriever']
