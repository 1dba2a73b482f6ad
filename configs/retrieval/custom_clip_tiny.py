"""A small CLIPModel on your own videos from random weights, by VTC alone; beside custom_tiny.py."""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.custom import *
    from .._base_.default_runtime import *
    from .._base_.models.clip_tiny import *
    from .._base_.schedules.tiny_clip import *

model.data_preprocessor.tokenizer.vocab = f'{data_root}/vocab.txt'
train_cfg.update(max_epochs=200, val_interval=50)
param_scheduler.stages = [(200, 1e-3)]
default_hooks.checkpoint.interval = 50
# the encoders train: there is nothing to cache
train_dataloader.dataset.feature_cache = val_dataloader.dataset.feature_cache = None
val_cfg = test_cfg = dict(type=RetrievalLoop, rerank_k=0)
