"""Zero-shot retrieval on MSVD at P = 256; the paper has no such row, its Table 4 is taken to be fine-tuned.

Takes a released checkpoint, converted, or epoch_18.pth of a pre-training in configs/stgt.

    bash tools/dist_test.sh configs/retrieval/msvd_zeroshot.py weights/stgt_w10m_v7m_256.safetensors 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msvd import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_vitg import *
    from .._base_.schedules.test_only import *

model.data_preprocessor.tokenizer.max_length = 32
