"""Pre-training in both stages in one run: 12 epochs VTC at 5e-5, 6 epochs CSAL at 2.5e-5 (STGT section 4.1).

The rates are for 48 GPUs with 20 clips each; for fewer there is ``--auto-scale-lr``. Warm-up and floor are
those of the authors' release.
"""

from torch.optim import AdamW

from stgt_mm.engine.hooks import AlignmentStageHook
from stgt_mm.engine.loops import ResumableEpochLoop
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.engine.schedulers import StagedWarmupCosine

train_cfg = dict(type=ResumableEpochLoop, max_epochs=18)
optim_wrapper = dict(
    type=AutocastOptimWrapper,
    dtype='bfloat16',
    optimizer=dict(type=AdamW, lr=5e-5, weight_decay=0.05, betas=(0.9, 0.98)),
    constructor=TrainableParamsConstructor,
)
param_scheduler = dict(
    type=StagedWarmupCosine,
    convert_to_iter_based=True,
    stages=[(12, 5e-5), (6, 2.5e-5)],
    warmup_iters=6000,
    warmup_start=1e-7,
    min_lr=1e-6,
)
custom_hooks = [dict(type=AlignmentStageHook, stages=[(12, 1.0), (6, 0.0)])]
auto_scale_lr = dict(enable=False, base_batch_size=960)
