"""Zero-shot retrieval on DiDeMo at P = 256: the paper's zero-shot DiDeMo row, WebVid-10M + VIDAL-7M.

Takes a released checkpoint, converted, or epoch_18.pth of a pre-training in configs/stgt. For another row of
the paper: ``--cfg-options test_evaluator.paper_row=didemo_zeroshot/stgt_w10m_256``.

    bash tools/dist_test.sh configs/retrieval/didemo_zeroshot.py weights/stgt_w10m_v7m_256.safetensors 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.didemo import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_vitg import *
    from .._base_.schedules.test_only import *

model.data_preprocessor.tokenizer.max_length = 55
test_evaluator.paper_row = 'didemo_zeroshot/stgt_w10m_v7m_256'
