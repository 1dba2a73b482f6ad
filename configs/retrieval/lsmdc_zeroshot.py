"""Zero-shot retrieval on LSMDC at P = 256: the paper's zero-shot LSMDC row, WebVid-10M + VIDAL-7M.

Takes a released checkpoint, converted, or epoch_18.pth of a pre-training in configs/stgt. For another row of
the paper: ``--cfg-options test_evaluator.paper_row=lsmdc_zeroshot/stgt_w10m_256``.

    bash tools/dist_test.sh configs/retrieval/lsmdc_zeroshot.py weights/stgt_w10m_v7m_256.safetensors 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.lsmdc import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_vitg import *
    from .._base_.schedules.test_only import *

model.data_preprocessor.tokenizer.max_length = 32
test_evaluator.paper_row = 'lsmdc_zeroshot/stgt_w10m_v7m_256'
