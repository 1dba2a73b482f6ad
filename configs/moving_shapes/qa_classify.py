"""Tiny question answering from the quickstart's aligner: a head over all training answers."""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.moving_shapes_qa import *
    from .._base_.default_runtime import *
    from .._base_.models.answerer_tiny import *
    from .._base_.schedules.tiny_qa import *

from stgt_mm.models import AnswerHead

vocabulary = f'{data_root}/answers.txt'
model.update(
    mode='classify',
    condition_on_question=True,
    answer_head=dict(type=AnswerHead, width=96, vocabulary=vocabulary, pooling='attention'),
)
val_evaluator.vocabulary = vocabulary
test_evaluator.vocabulary = vocabulary
default_hooks.checkpoint.save_best = 'qa/accuracy'
