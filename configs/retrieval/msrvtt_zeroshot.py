"""Zero-shot retrieval on MSR-VTT at P = 256: the paper's zero-shot MSR-VTT row, WebVid-10M + VIDAL-7M.

Takes a released checkpoint, converted, or epoch_18.pth of a pre-training in configs/stgt. For another row of
the paper: ``--cfg-options test_evaluator.paper_row=msrvtt_zeroshot/stgt_w10m_256``.

    bash tools/dist_test.sh configs/retrieval/msrvtt_zeroshot.py weights/stgt_w10m_v7m_256.safetensors 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_vitg import *
    from .._base_.schedules.test_only import *

model.data_preprocessor.tokenizer.max_length = 36
test_evaluator.paper_row = 'msrvtt_zeroshot/stgt_w10m_v7m_256'
