"""CLIP4Clip's fine-tuning: 5 epochs, batch 128, 1e-7 for CLIP and 1e-4 for what is new, cosine, warm-up 10%.

Adam's betas are those of its BertAdam; its floor is 0. Source: arXiv 2104.08860, section 4.1, and its code.
"""

from torch.optim import AdamW

from stgt_mm.engine.loops import ResumableEpochLoop
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.engine.schedulers import StagedWarmupCosine

train_cfg = dict(type=ResumableEpochLoop, max_epochs=5)
optim_wrapper = dict(
    type=AutocastOptimWrapper,
    dtype='bfloat16',
    optimizer=dict(type=AdamW, lr=1e-4, weight_decay=0.2, betas=(0.9, 0.98), eps=1e-6),
    constructor=TrainableParamsConstructor,
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=1e-3), 'contrastive_head': dict(lr_mult=1e-3)}),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = dict(
    type=StagedWarmupCosine,
    convert_to_iter_based=True,
    stages=[(5, 1e-4)],
    warmup_ratio=0.1,
    warmup_start=0.0,
    min_lr=0.0,
)
