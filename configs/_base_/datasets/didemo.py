"""DiDeMo, made by ``tools/dataset_converters/didemo.py``: one paragraph a video, 1,004 test videos."""

from mmengine.config import read_base

with read_base():
    from .clips_224_validated import *

data_root = 'data/didemo'
train_dataloader.dataset.update(ann_file=f'{data_root}/train.jsonl', video_root=f'{data_root}/videos')
val_dataloader.dataset.update(ann_file=f'{data_root}/val.jsonl', video_root=f'{data_root}/videos')
test_dataloader.dataset.update(ann_file=f'{data_root}/test.jsonl', video_root=f'{data_root}/videos')
