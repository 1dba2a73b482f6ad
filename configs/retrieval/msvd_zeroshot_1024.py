"""Zero-shot retrieval on MSVD at P = 1024, which the paper does not have.

bash tools/dist_test.sh configs/retrieval/msvd_zeroshot_1024.py weights/stgt_w10m_v4m_1024.safetensors 8
"""

from mmengine.config import read_base

with read_base():
    from .msvd_zeroshot import *

model.contrastive_head.embed_dim = 1024
