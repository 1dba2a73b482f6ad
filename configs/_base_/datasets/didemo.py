"""DiDeMo, made by ``tools/dataset_converters/didemo.py``: one paragraph a video, 1,004 test videos."""

from mmengine.config import read_base

with read_base():
    from .clips_224_validated import *

data_root = 'data/didemo'
source = dict(
    video_root=f'{data_root}/videos',
    made_by=f'python tools/dataset_converters/didemo.py downloads/didemo {data_root}',
)
train_dataloader.dataset.update(ann_file=f'{data_root}/train.jsonl', **source)
val_dataloader.dataset.update(ann_file=f'{data_root}/val.jsonl', **source)
test_dataloader.dataset.update(ann_file=f'{data_root}/test.jsonl', **source)
