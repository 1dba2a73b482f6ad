"""MSVD, made by ``tools/dataset_converters/msvd.py``: 1,200 clips train, 670 with 27,763 texts test."""

from mmengine.config import read_base

with read_base():
    from .clips_224 import *

data_root = 'data/msvd'
train_dataloader.dataset.update(ann_file=f'{data_root}/train.jsonl', video_root=f'{data_root}/videos')
test_dataloader.dataset.update(ann_file=f'{data_root}/test.jsonl', video_root=f'{data_root}/videos')
