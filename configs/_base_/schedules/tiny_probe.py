"""Linear probes of tiny models: AdamW without decay, 10 epochs, cached features."""

from mmengine.config import read_base

with read_base():
    from .tiny_qa import *

train_cfg.update(max_epochs=10, val_interval=5)
optim_wrapper.optimizer.update(lr=1e-2, weight_decay=0.0)
param_scheduler.stages = [(10, 1e-2)]
