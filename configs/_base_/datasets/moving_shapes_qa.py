"""Questions on Moving Shapes, made with its clips by ``tools/dataset_converters/moving_shapes.py``."""

from mmengine.config import read_base

with read_base():
    from .moving_shapes import *

from stgt_mm.datasets import VideoQADataset
from stgt_mm.engine.loops import AnswerLoop
from stgt_mm.evaluation import VideoQAMetric

questions = dict(type=VideoQADataset, feature_cache=feature_cache, **clips)
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(ann_file=f'{data_root}/train_qa.jsonl', **questions),
    sampler=dict(type=EpochSampler, shuffle=True),
    collate_fn=dict(type=video_text_collate),
)
val_dataloader.dataset = dict(ann_file=f'{data_root}/val_qa.jsonl', **questions)
test_dataloader.dataset = dict(ann_file=f'{data_root}/test_qa.jsonl', **questions)
val_evaluator = dict(type=VideoQAMetric)
test_evaluator = dict(type=VideoQAMetric)
val_cfg = dict(type=AnswerLoop)
test_cfg = dict(type=AnswerLoop)
