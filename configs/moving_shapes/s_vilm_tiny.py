"""Tiny S-ViLM on Moving Shapes: contrast, temporal grouping and noun grounding; both encoders train.

Half of a batch are groups of clips of one look, whose equal nouns are no negatives of each other. Partners of
the blend are any other clip, nearly always of another look: the paste shows by its background, as in the
paper, where scenes differ. docs/s_vilm.md says what is measured.
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
train_dataloader.batch_sampler.curriculum = None
train_cfg.val_interval = 10
optim_wrapper.optimizer.lr = 3e-3
# the gradient of the group tokens, which are small, would decide the scale of all others
optim_wrapper.clip_grad = None
optim_wrapper.paramwise_cfg = dict(custom_keys={'backbone.vit': dict(lr_mult=0.1)})
param_scheduler.stages = [(10, 3e-3)]
val_cfg = dict(type=RetrievalLoop, rerank_k=0)
test_cfg.update(rerank_k=0, score_fusion='itc')
