"""MSVD-QA, made by ``tools/dataset_converters/msvd_qa.py``: 30,933 / 6,415 / 13,157 questions."""

from mmengine.config import read_base

with read_base():
    from .questions_224 import *

data_root = 'data/msvd_qa'
converter = 'python tools/dataset_converters/msvd_qa.py'
source = dict(
    video_root='data/msvd/videos',
    made_by=f'{converter} downloads/msvd_qa {data_root} --answers 1000',
)
train_dataloader.dataset.update(ann_file=f'{data_root}/train.jsonl', **source)
val_dataloader.dataset.update(ann_file=f'{data_root}/val.jsonl', **source)
test_dataloader.dataset.update(ann_file=f'{data_root}/test.jsonl', **source)
