"""Fine-tuning for retrieval (STGT section 4.1): 9 epochs CSAL at 2.5e-5, no warm-up, 20 clips a GPU."""

from torch.optim import AdamW

from stgt_mm.engine.hooks import AlignmentStageHook
from stgt_mm.engine.loops import ResumableEpochLoop
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.engine.schedulers import StagedWarmupCosine

train_cfg = dict(type=ResumableEpochLoop, max_epochs=9)
optim_wrapper = dict(
    type=AutocastOptimWrapper,
    dtype='bfloat16',
    optimizer=dict(type=AdamW, lr=2.5e-5, weight_decay=0.05, betas=(0.9, 0.98)),
    constructor=TrainableParamsConstructor,
)
param_scheduler = dict(type=StagedWarmupCosine, convert_to_iter_based=True, stages=[(9, 2.5e-5)], min_lr=1e-6)
custom_hooks = [dict(type=AlignmentStageHook, stages=[(9, 0.0)])]
