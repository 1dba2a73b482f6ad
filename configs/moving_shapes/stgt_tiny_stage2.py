"""The second stage of tiny STGT alone, for a start from a checkpoint of the first: Figure 7b (gamma)."""

from mmengine.config import read_base

with read_base():
    from .stgt_tiny import *

param_scheduler.stages = param_scheduler.stages[-1:]
train_cfg.max_epochs = param_scheduler.stages[0][0]
train_dataloader.batch_sampler.update(max_epochs=train_cfg.max_epochs, curriculum=None)
# Without VisionNormInitHook, which would overwrite the norm of the checkpoint.
custom_hooks = [
    dict(hook, stages=hook['stages'][-1:]) if 'stages' in hook else hook
    for hook in custom_hooks
    if 'VisionNormInitHook' not in str(hook['type'])
]
