"""The tiny models' schedule for a dual encoder that trains as a whole: AdamW, nothing cached."""

from torch.optim import AdamW

from stgt_mm.engine.loops import ResumableEpochLoop
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.engine.schedulers import StagedWarmupCosine

train_cfg = dict(type=ResumableEpochLoop, max_epochs=10, val_interval=2)
optim_wrapper = dict(
    type=AutocastOptimWrapper,
    optimizer=dict(type=AdamW, lr=1e-3, weight_decay=0.05, betas=(0.9, 0.98)),
    constructor=TrainableParamsConstructor,
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = dict(
    type=StagedWarmupCosine, convert_to_iter_based=True, stages=[(10, 1e-3)], warmup_ratio=0.05, min_lr=1e-5
)
