"""Loops: resumable training by epochs, retrieval for validation and test."""

from stgt_mm.engine.loops.epoch_loop import ResumableEpochLoop
from stgt_mm.engine.loops.retrieval_loop import RetrievalLoop

__all__ = ['ResumableEpochLoop', 'RetrievalLoop']
