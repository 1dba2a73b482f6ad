"""A small CLIPModel on Moving Shapes, from random weights by VTC alone: frames by themselves, averaged.

Beside STGT: ``python benchmarks/compare_necks.py --rows encoders``.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.moving_shapes import *
    from .._base_.default_runtime import *
    from .._base_.models.clip_tiny import *
    from .._base_.schedules.tiny_clip import *

# the encoders train: there is nothing to cache
train_dataloader.dataset.feature_cache = val_dataloader.dataset.feature_cache = None
val_cfg = dict(type=RetrievalLoop, rerank_k=0)
test_cfg.update(rerank_k=0, score_fusion='itc')
