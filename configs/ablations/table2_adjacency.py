"""Table 2, third row: STGT with the graph A and without weights W_s, stage 1; paper: R-mean 48.86."""

from mmengine.config import read_base

with read_base():
    from .table2_adjacency_weights import *

model.neck.use_edge_weights = False
test_evaluator.paper_row = 'ablation/table2_adjacency'
