"""Questions on clips of 8 frames at 224 x 224 px, with the transforms of retrieval."""

from mmengine.config import read_base

with read_base():
    from .clips_224 import *

from stgt_mm.datasets import VideoQADataset
from stgt_mm.engine.loops import AnswerLoop
from stgt_mm.evaluation import VideoQAMetric

train_dataloader.dataset.update(type=VideoQADataset)
evaluation_set = dict(type=VideoQADataset, pipeline=test_pipeline)
val_dataloader = dict(dataset=dict(**evaluation_set), **evaluation_loader)
test_dataloader = dict(dataset=dict(**evaluation_set), **evaluation_loader)
val_evaluator = dict(type=VideoQAMetric)
test_evaluator = dict(type=VideoQAMetric)
val_cfg = dict(type=AnswerLoop)
test_cfg = dict(type=AnswerLoop)
