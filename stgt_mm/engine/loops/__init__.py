"""Loops: training by epochs; retrieval, question answering and captioning for validation and test."""

from stgt_mm.engine.loops.action_loop import ActionLoop
from stgt_mm.engine.loops.answer_loop import AnswerLoop
from stgt_mm.engine.loops.caption_loop import CaptionLoop
from stgt_mm.engine.loops.epoch_loop import ResumableEpochLoop
from stgt_mm.engine.loops.retrieval_loop import RetrievalLoop

__all__ = ['ActionLoop', 'AnswerLoop', 'CaptionLoop', 'ResumableEpochLoop', 'RetrievalLoop']
