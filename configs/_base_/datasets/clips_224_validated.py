"""Clips at 224 x 224 px of a set with a validation split: its evaluation is that of the test."""

from mmengine.config import read_base

with read_base():
    from .clips_224 import *

from stgt_mm.evaluation import RetrievalMetric

val_dataloader = dict(dataset=dict(**evaluation_set), **evaluation_loader)
val_evaluator = dict(type=RetrievalMetric)
val_cfg = evaluation
test_dataloader = dict(dataset=dict(**evaluation_set), **evaluation_loader)
