"""Tiny S-ViLM on Moving Shapes: contrast, temporal grouping and noun grounding; both encoders train.

No groups of clips of one look in a batch: their equal nouns, which are no negatives of each other, would
leave the grounding little to tell apart. The blocks of the image start slowly, so that a patch keeps to its
place. docs/s_vilm.md says what is measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.moving_shapes import *
    from .._base_.default_runtime import *
    from .._base_.models.s_vilm_tiny import *
    from .._base_.schedules.tiny_clip import *

# the encoders train: there is nothing to cache
train_dataloader.dataset.feature_cache = val_dataloader.dataset.feature_cache = None
train_dataloader.batch_size = 32
train_dataloader.sampler.samples_per_epoch = 1024
train_dataloader.batch_sampler.update(curriculum=None, group_fraction=0.0)
train_cfg.val_interval = 10
optim_wrapper.optimizer.lr = 3e-3
# the gradient of the group tokens, which are small, would decide the scale of all others
optim_wrapper.clip_grad = None
optim_wrapper.paramwise_cfg = dict(custom_keys={'backbone.vit': dict(lr_mult=0.003)})
param_scheduler.stages = [(10, 3e-3)]
val_cfg = dict(type=RetrievalLoop, rerank_k=0)
test_cfg.update(rerank_k=0, score_fusion='itc')
