"""Captioning on clips of 8 frames at 224 x 224 px: training on pairs, tests with all captions of a video."""

from mmengine.config import read_base

with read_base():
    from .clips_224 import *

from stgt_mm.datasets import VideoCaptionDataset
from stgt_mm.engine.loops import CaptionLoop
from stgt_mm.evaluation import CaptionMetric

evaluation_set = dict(type=VideoCaptionDataset, pipeline=test_pipeline)
val_dataloader = dict(dataset=dict(**evaluation_set), **evaluation_loader)
test_dataloader = dict(dataset=dict(**evaluation_set), **evaluation_loader)
val_evaluator = dict(type=CaptionMetric)
test_evaluator = dict(type=CaptionMetric)
val_cfg = dict(type=CaptionLoop)
test_cfg = dict(type=CaptionLoop)
