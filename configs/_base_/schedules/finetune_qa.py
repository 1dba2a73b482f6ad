"""Fine-tuning for question answering (STGT section 4.3): 9 epochs at 3e-5, no warm-up, 20 clips a GPU."""

from mmengine.config import read_base

with read_base():
    from .finetune_csal import *

optim_wrapper.optimizer.lr = 3e-5
param_scheduler.stages = [(9, 3e-5)]
custom_hooks = []
