"""Training on actions: 30 epochs, cosine, bfloat16; the head's rate, of which the rest gets a hundredth.

What S-ViLM used could not be read: all of it is ours.
"""

from torch.optim import AdamW

from stgt_mm.engine.loops import ResumableEpochLoop
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.engine.schedulers import StagedWarmupCosine

train_cfg = dict(type=ResumableEpochLoop, max_epochs=30)
val_dataloader = val_evaluator = val_cfg = None
optim_wrapper = dict(
    type=AutocastOptimWrapper,
    dtype='bfloat16',
    optimizer=dict(type=AdamW, lr=2e-3, weight_decay=0.05, betas=(0.9, 0.98)),
    constructor=TrainableParamsConstructor,
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=1e-2)}),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = dict(
    type=StagedWarmupCosine, convert_to_iter_based=True, stages=[(30, 2e-3)], warmup_ratio=0.05, min_lr=1e-6
)
