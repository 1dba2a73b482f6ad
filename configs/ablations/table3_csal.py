"""Table 3 with CSAL, both stages; paper: R-mean 51.27, and 49.67 without (table2_adjacency_weights.py)."""

from mmengine.config import read_base

with read_base():
    from ..stgt.pretrain_w10m import *

model.data_preprocessor.tokenizer.max_length = 36
test_evaluator.paper_row = 'ablation/table3_csal'
