"""Zero-shot retrieval on MSR-VTT 1k-A.

bash tools/dist_test.sh configs/retrieval/msrvtt_zeroshot.py weights/stgt_w10m_v7m_256.safetensors 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_vitg import *

model.data_preprocessor.tokenizer.max_length = 36
train_dataloader = None
