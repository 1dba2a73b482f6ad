"""Figure 12: recall against k, the candidates that are re-ranked; zero-shot MSR-VTT. Elsewhere k is 32.

Takes a pre-trained checkpoint::

    python tools/analysis_tools/sweep.py configs/ablations/figure12_rerank_k.py CHECKPOINT --figure 12
"""

from mmengine.config import read_base

with read_base():
    from ..retrieval.msrvtt_zeroshot import *

test_cfg.rerank_k = 128
test_evaluator.paper_row = None
