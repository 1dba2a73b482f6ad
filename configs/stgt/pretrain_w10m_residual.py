"""WebVid-10M with a residual around the graph attention, which neither paper nor release has.

    bash tools/dist_train.sh configs/stgt/pretrain_w10m_residual.py 8

What it does on Moving Shapes: docs/results.md.
"""

from mmengine.config import read_base

with read_base():
    from .pretrain_w10m import *

model.neck.graph_residual = True
test_evaluator.paper_row = None
