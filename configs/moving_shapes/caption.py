"""Captions of Moving Shapes by the Q-Former's own decoder: tests the quickstart's aligner, trains nothing.

python tools/test.py configs/moving_shapes/caption.py work_dirs/quickstart/best_t2v_Rmean.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.moving_shapes import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_tiny import *
    from .._base_.schedules.test_only import *

from stgt_mm.datasets import VideoCaptionDataset
from stgt_mm.engine.loops import CaptionLoop
from stgt_mm.evaluation import CaptionMetric

test_dataloader.dataset.type = VideoCaptionDataset
test_evaluator = dict(type=CaptionMetric)
test_cfg = dict(type=CaptionLoop)
