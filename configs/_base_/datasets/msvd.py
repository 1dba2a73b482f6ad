"""MSVD, made by ``tools/dataset_converters/msvd.py``: 1,200 / 100 / 670 clips, test 27,763 captions."""

from mmengine.config import read_base

with read_base():
    from .clips_224_validated import *

data_root = 'data/msvd'
source = dict(
    video_root=f'{data_root}/videos',
    made_by=f'python tools/dataset_converters/msvd.py downloads/msvd {data_root}',
)
train_dataloader.dataset.update(ann_file=f'{data_root}/train.jsonl', **source)
val_dataloader.dataset.update(ann_file=f'{data_root}/val.jsonl', **source)
test_dataloader.dataset.update(ann_file=f'{data_root}/test.jsonl', **source)
