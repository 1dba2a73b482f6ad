"""MSRVTT-QA, made by ``tools/dataset_converters/msrvtt_qa.py``: 158,581 / 12,278 / 72,821 questions."""

from mmengine.config import read_base

with read_base():
    from .questions_224 import *

data_root = 'data/msrvtt_qa'
converter = 'python tools/dataset_converters/msrvtt_qa.py'
source = dict(
    video_root='data/msrvtt/videos',
    made_by=f'{converter} downloads/msrvtt_qa {data_root} --answers 1500',
)
train_dataloader.dataset.update(ann_file=f'{data_root}/train.jsonl', **source)
val_dataloader.dataset.update(ann_file=f'{data_root}/val.jsonl', **source)
test_dataloader.dataset.update(ann_file=f'{data_root}/test.jsonl', **source)
