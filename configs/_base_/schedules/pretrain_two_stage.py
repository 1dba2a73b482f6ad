"""Pre-training in both stages in one run: 12 epochs VTC at 5e-5, 6 epochs CSAL at 2.5e-5 (STGT section 4.1).

The rates are for 48 GPUs with 20 clips each and are scaled to the batch of all GPUs, unless
``auto_scale_lr.enable=False``. The warm-up is 5% of stage 1 with any number of GPUs: about the 6,000 steps of
the authors' release with WebVid-10M on 48. The floor is the release's.
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
    warmup_ratio=0.05,
    warmup_start=1e-7,
    min_lr=1e-6,
)
custom_hooks = [dict(type=AlignmentStageHook, stages=[(12, 1.0), (6, 0.0)])]
auto_scale_lr = dict(enable=True, base_batch_size=960)
