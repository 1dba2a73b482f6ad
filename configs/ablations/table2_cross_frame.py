"""Table 2, first row: the baseline CrossFrameNeck (CCT and MIT), stage 1; paper: R-mean 45.57."""

from mmengine.config import read_base

with read_base():
    from .table2_adjacency_weights import *

from stgt_mm.models import CrossFrameNeck

model.neck = dict(type=CrossFrameNeck, embed_dims=1408, num_heads=16, num_frames=8)
test_evaluator.paper_row = 'ablation/table2_cross_frame'
