"""Fine-tuned retrieval on MSR-VTT at P = 1024: the paper's fine-tuned row, WebVid-10M + VIDAL-4M, 1024.

    bash tools/dist_train.sh configs/retrieval/msrvtt_finetune_1024.py 8
    bash tools/dist_test.sh configs/retrieval/msrvtt_finetune_1024.py CHECKPOINT 8

CHECKPOINT: work_dirs/msrvtt_finetune_1024/epoch_9.pth.
"""

from mmengine.config import read_base

with read_base():
    from .msrvtt_finetune import *

model.contrastive_head.embed_dim = 1024
load_from = 'weights/stgt_w10m_v4m_1024.safetensors'
test_evaluator.paper_row = 'msrvtt_finetune/stgt_w10m_v4m_1024'
