"""Fine-tuned retrieval on MSVD at P = 256: the paper's fine-tuned MSVD row, WebVid-10M + VIDAL-7M.

Starts from that released checkpoint, converted; from a pre-training of your own:
``--cfg-options load_from=work_dirs/pretrain_w10m_v7m/epoch_18.pth``.
The release trains for 12 epochs here.

    bash tools/dist_train.sh configs/retrieval/msvd_finetune.py 8
    bash tools/dist_test.sh configs/retrieval/msvd_finetune.py work_dirs/msvd_finetune/best_t2v_Rmean.pth 8
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msvd import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_vitg import *
    from .._base_.schedules.finetune_csal import *

model.data_preprocessor.tokenizer.max_length = 32
model.neck.similarity_threshold = 0.5
load_from = 'weights/stgt_w10m_v7m_256.safetensors'
test_evaluator.paper_row = 'msvd_finetune/stgt_w10m_v7m_256'
