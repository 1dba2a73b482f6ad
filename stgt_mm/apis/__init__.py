"""Trained models for use from Python: a model and a video go in, an answer comes out."""

from stgt_mm.apis.question_answerer import VideoQuestionAnswererInferencer

__all__ = ['VideoQuestionAnswererInferencer']
