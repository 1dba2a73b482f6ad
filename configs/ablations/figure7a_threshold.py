"""Figure 7a: h swept at test time on one checkpoint that was trained at 0.1, VTC only; zero-shot MSR-VTT.

CHECKPOINT is work_dirs/table2_adjacency_weights/epoch_12.pth::

    python tools/analysis_tools/sweep.py configs/ablations/figure7a_threshold.py CHECKPOINT --figure 7a
"""

from mmengine.config import read_base

with read_base():
    from ..retrieval.msrvtt_zeroshot import *

test_evaluator.paper_row = None
