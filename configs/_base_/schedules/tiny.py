"""Tiny models: Muon, one stage of VTC; a config with a second stage restates the stages."""

from stgt_mm.engine.hooks import FeatureCacheHook, VisionNormInitHook
from stgt_mm.engine.loops import ResumableEpochLoop
from stgt_mm.engine.muon import Muon
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.engine.schedulers import StagedWarmupCosine

train_cfg = dict(type=ResumableEpochLoop, max_epochs=10, val_interval=2)
optim_wrapper = dict(
    type=AutocastOptimWrapper,
    # Word embeddings and vectors go to AdamW at a twelfth of the rate. With AdamW for all, the model stays
    # for hundreds of steps where it sees what is there but not where it goes.
    optimizer=dict(
        type=Muon, lr=6e-3, weight_decay=0.05, betas=(0.9, 0.98), nesterov=True, fallback_lr_scale=1 / 12
    ),
    constructor=TrainableParamsConstructor,
    paramwise_cfg=dict(custom_keys={'qformer.embeddings': dict(options=dict(use_fallback=True))}),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = dict(
    type=StagedWarmupCosine, convert_to_iter_based=True, stages=[(10, 6e-3)], warmup_ratio=0.05, min_lr=1e-4
)
custom_hooks = [dict(type=FeatureCacheHook), dict(type=VisionNormInitHook)]
