"""S-ViLM: retrieval on MSR-VTT fine-tuned by the contrast alone, from a pre-training in configs/s_vilm.

    bash tools/dist_train.sh configs/s_vilm/msrvtt_finetune.py 8
    bash tools/dist_test.sh configs/s_vilm/msrvtt_finetune.py work_dirs/msrvtt_finetune/epoch_9.pth 8

The last epoch is tested, for there is no validation split. ``load_strict=False`` lets go of the heads of the
structure losses. The schedule is STGT's; the row beside the result is read second-hand: docs/s_vilm.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.msrvtt import *
    from .._base_.default_runtime import *
    from .._base_.models.s_vilm_vitb import *
    from .._base_.schedules.finetune_csal import *

model.update(auxiliary_heads=None)
model.data_preprocessor.batch_transforms = []
custom_hooks = []
for own in (train_dataloader, test_dataloader):
    own.dataset.pipeline[0].num_frames = 32
load_from = 'work_dirs/pretrain_videocc/epoch_10.pth'
load_strict = False
default_hooks.checkpoint.save_best = None
test_cfg = dict(type=RetrievalLoop, rerank_k=0)
test_evaluator.paper_row = 'msrvtt_finetune/s_vilm'
