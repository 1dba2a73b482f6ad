"""Models that tell which action a video shows."""

from stgt_mm.models.classifiers.action_classifier import ActionClassifier

__all__ = ['ActionClassifier']
