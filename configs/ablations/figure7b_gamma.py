"""Figure 7b: gamma from 1 to 12, each a stage 2 (6 epochs CSAL) from one stage-1 checkpoint; 5 elsewhere.

CHECKPOINT is work_dirs/table2_adjacency_weights/epoch_12.pth::

    python tools/analysis_tools/sweep.py configs/ablations/figure7b_gamma.py CHECKPOINT --figure 7b
"""

from mmengine.config import read_base

with read_base():
    from .table3_csal import *

train_cfg.max_epochs = 6
param_scheduler.update(stages=param_scheduler.stages[1:], warmup_ratio=0.0)
custom_hooks[0].stages = custom_hooks[0].stages[1:]
load_from = 'work_dirs/table2_adjacency_weights/epoch_12.pth'
load_strict = True
# the row of table3_csal.py is another training: both stages in one run
test_evaluator.paper_row = None
