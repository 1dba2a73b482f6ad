"""MSR-VTT, made by ``tools/dataset_converters/msrvtt.py``: 9k training, 1k-A test."""

from mmengine.config import read_base

with read_base():
    from .clips_224 import *

data_root = 'data/msrvtt'
train_dataloader.dataset.update(ann_file=f'{data_root}/train_9k.jsonl', video_root=f'{data_root}/videos')
test_dataloader.dataset.update(ann_file=f'{data_root}/test_1ka.jsonl', video_root=f'{data_root}/videos')
