"""Fine-tuned retrieval on MSR-VTT at P = 256: the paper's fine-tuned MSR-VTT row, WebVid-10M + VIDAL-7M.

Starts from that released checkpoint, converted; from a pre-training of your own:
``--cfg-options load_from=work_dirs/pretrain_w10m_v7m/epoch_18.pth``.
The last epoch is tested, for there is no validation split.

    bash tools/dist_train.sh configs/retrieval/msrvtt_finetune.py 8
    bash tools/dist_test.sh configs/retrieval/msrvtt_finetune.py work_dirs/msrvtt_finetune/epoch_9.pth 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_vitg import *
    from .._base_.schedules.finetune_csal import *

model.data_preprocessor.tokenizer.max_length = 36
model.neck.similarity_threshold = 0.5
load_from = 'weights/stgt_w10m_v7m_256.safetensors'
default_hooks.checkpoint.save_best = None
test_evaluator.paper_row = 'msrvtt_finetune/stgt_w10m_v7m_256'
