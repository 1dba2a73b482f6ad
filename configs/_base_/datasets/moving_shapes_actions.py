"""Events of Moving Shapes, made with its clips by ``tools/dataset_converters/moving_shapes.py``."""

from mmengine.config import read_base

with read_base():
    from .moving_shapes import *

from stgt_mm.datasets import VideoActionDataset
from stgt_mm.engine.loops import ActionLoop
from stgt_mm.evaluation import VideoAccuracy

shown = dict(type=VideoActionDataset, feature_cache=feature_cache, **clips)
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(ann_file=f'{data_root}/train_actions.jsonl', **shown),
    sampler=dict(type=EpochSampler, shuffle=True),
    collate_fn=dict(type=video_text_collate),
)
val_dataloader.dataset = dict(ann_file=f'{data_root}/val_actions.jsonl', **shown)
test_dataloader.dataset = dict(ann_file=f'{data_root}/test_actions.jsonl', **shown)
actions = f'{data_root}/actions.txt'
val_evaluator = dict(type=VideoAccuracy, actions=actions)
test_evaluator = dict(type=VideoAccuracy, actions=actions)
val_cfg = dict(type=ActionLoop)
test_cfg = dict(type=ActionLoop)
