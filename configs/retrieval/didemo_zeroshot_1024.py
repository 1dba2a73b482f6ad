"""Zero-shot retrieval on DiDeMo at P = 1024: the paper's zero-shot row, WebVid-10M + VIDAL-4M, 1024.

bash tools/dist_test.sh configs/retrieval/didemo_zeroshot_1024.py weights/stgt_w10m_v4m_1024.safetensors 8
"""

from mmengine.config import read_base

with read_base():
    from .didemo_zeroshot import *

model.contrastive_head.embed_dim = 1024
test_evaluator.paper_row = 'didemo_zeroshot/stgt_w10m_v4m_1024'
