"""Pre-training of S-ViLM: 10 epochs at 1e-4 for a batch of 1,024 over all GPUs.

The paper's schedule was not to be had; this one is ours. The rate follows the batch of all GPUs.
"""

from torch.optim import AdamW

from stgt_mm.engine.loops import ResumableEpochLoop
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.engine.schedulers import StagedWarmupCosine

train_cfg = dict(type=ResumableEpochLoop, max_epochs=10)
optim_wrapper = dict(
    type=AutocastOptimWrapper,
    dtype='bfloat16',
    optimizer=dict(type=AdamW, lr=1e-4, weight_decay=0.05, betas=(0.9, 0.98)),
    constructor=TrainableParamsConstructor,
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = dict(
    type=StagedWarmupCosine,
    convert_to_iter_based=True,
    stages=[(10, 1e-4)],
    warmup_ratio=0.05,
    warmup_start=1e-7,
    min_lr=1e-6,
)
auto_scale_lr = dict(enable=True, base_batch_size=1024)
