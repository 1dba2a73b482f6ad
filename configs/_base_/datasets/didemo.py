"""DiDeMo, made by ``tools/dataset_converters/didemo.py``: a paragraph a video; 8,392 train, 1,004 test."""

from mmengine.config import read_base

with read_base():
    from .clips_224 import *

data_root = 'data/didemo'
train_dataloader.dataset.update(ann_file=f'{data_root}/train.jsonl', video_root=f'{data_root}/videos')
test_dataloader.dataset.update(ann_file=f'{data_root}/test.jsonl', video_root=f'{data_root}/videos')
