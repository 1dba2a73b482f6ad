"""Trained models for use from Python: videos and words go in, answers, hits and scores come out."""

from stgt_mm.apis.question_answerer import VideoQuestionAnswererInferencer
from stgt_mm.apis.retriever import Hit, RankedText, VideoTextRetriever

__all__ = ['Hit', 'RankedText', 'VideoQuestionAnswererInferencer', 'VideoTextRetriever']
