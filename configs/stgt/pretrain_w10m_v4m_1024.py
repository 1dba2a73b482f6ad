"""Pre-training on WebVid-10M and 4M clips of VIDAL-10M, both stages in one run, P = 1024.

    bash tools/dist_train.sh configs/stgt/pretrain_w10m_v4m_1024.py 8

BLIP-2's projections have 256 columns: here they start from random weights, like the neck.
"""

from mmengine.config import read_base

with read_base():
    from .pretrain_w10m_v4m import *

model.contrastive_head.embed_dim = 1024
load_strict = ['neck', 'contrastive_head.vision_proj', 'contrastive_head.text_proj']
test_evaluator.paper_row = 'msrvtt_zeroshot/stgt_w10m_v4m_1024'
