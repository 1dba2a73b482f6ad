custom_imports = dict(imports=['engine_toy'], allow_failed_imports=False)
default_scope = 'stgt_mm'
runner_type = 'VideoTextRunner'
model = dict(type='ToyModel', backbone=dict(type='ToyBackbone', seed=0), hidden=8, dropout=0.3)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    drop_last=True,
    dataset=dict(type='ToyPairs', size=24),
    sampler=dict(type='EpochSampler', shuffle=True),
    collate_fn=dict(type='toy_collate'),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(type='ToyPairs', size=8),
    sampler=dict(type='EpochSampler', shuffle=False),
    collate_fn=dict(type='toy_collate'),
)
val_evaluator = dict(type='ToyMetric')
val_cfg = dict(type='ValLoop')
train_cfg = dict(type='ResumableEpochLoop', max_epochs=4, val_interval=2)
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    constructor='TrainableParamsConstructor',
    optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = dict(
    type='StagedWarmupCosine', stages=[(2, 1e-2), (2, 5e-3)], warmup_iters=3, convert_to_iter_based=True
)
default_hooks = dict(
    checkpoint=dict(type='VideoTextCheckpointHook', interval_steps=2, save_best='t2v/Rmean', max_keep_ckpts=4)
)
custom_hooks = [dict(type='AlignmentStageHook', stages=[(2, 1.0), (2, 0.0)])]
randomness = dict(seed=3)
auto_scale_lr = dict(enable=False, base_batch_size=8)
