"""Tiny S-ViLM on Moving Shapes: contrast, temporal grouping and noun grounding, the two encoders trained."""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.moving_shapes import *
    from .._base_.default_runtime import *
    from .._base_.models.s_vilm_tiny import *
    from .._base_.schedules.tiny_clip import *

# the encoders train: there is nothing to cache
train_dataloader.dataset.feature_cache = val_dataloader.dataset.feature_cache = None
train_dataloader.batch_size = 32
train_dataloader.dataset.pipeline = [*pipeline[:-1], dict(type=PackVideoText, extra_keys=['noun_phrases'])]
val_cfg = dict(type=RetrievalLoop, rerank_k=0)
test_cfg.update(rerank_k=0, score_fusion='itc')
