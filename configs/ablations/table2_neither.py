"""Table 2, second row: neither A nor W_s, attention over all tokens, stage 1; paper: R-mean 46.73."""

from mmengine.config import read_base

with read_base():
    from .table2_adjacency_weights import *

model.neck.update(use_adjacency=False, use_edge_weights=False)
test_evaluator.paper_row = 'ablation/table2_neither'
