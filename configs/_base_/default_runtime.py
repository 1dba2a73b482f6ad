"""What every run shares: the runner, its hooks and its environment."""

from mmengine.hooks import IterTimerHook, LoggerHook, ParamSchedulerHook, RuntimeInfoHook

from stgt_mm.engine.hooks import MetricsFileHook, ProgressHook, ReplacedClipsHook, VideoTextCheckpointHook

default_scope = 'stgt_mm'
runner_type = 'VideoTextRunner'
default_hooks = dict(
    runtime_info=dict(type=RuntimeInfoHook),
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=50),
    param_scheduler=dict(type=ParamSchedulerHook),
    replaced_clips=dict(type=ReplacedClipsHook),
    metrics_file=dict(type=MetricsFileHook),
    progress=dict(type=ProgressHook),
    checkpoint=dict(type=VideoTextCheckpointHook, interval=1, save_best='t2v/Rmean'),
)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork'), dist_cfg=dict(backend='nccl'))
randomness = dict(seed=0)
log_level = 'INFO'
load_from = None
resume = False
