"""S-ViLM: zero-shot retrieval on MSR-VTT (1k-A) after a pre-training in configs/s_vilm, 32 frames.

    bash tools/dist_test.sh configs/s_vilm/msrvtt_zeroshot.py work_dirs/pretrain_videocc/epoch_10.pth 8

The row beside the result is read second-hand: docs/s_vilm.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt import *
    from .._base_.default_runtime import *
    from .._base_.models.s_vilm_vitb import *
    from .._base_.schedules.test_only import *

test_dataloader.dataset.pipeline[0].num_frames = 32
test_cfg = dict(type=RetrievalLoop, rerank_k=0)
test_evaluator.paper_row = 'msrvtt_zeroshot/s_vilm'
