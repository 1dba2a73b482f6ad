"""MSR-VTT, full split (6,513 / 497 / 2,990), 20 captions each; by ``tools/dataset_converters/msrvtt.py``."""

from mmengine.config import read_base

with read_base():
    from .captions_224 import *

data_root = 'data/msrvtt'
source = dict(
    video_root=f'{data_root}/videos',
    made_by=f'python tools/dataset_converters/msrvtt.py downloads/msrvtt {data_root}',
)
train_dataloader.dataset.update(ann_file=f'{data_root}/train_full.jsonl', **source)
val_dataloader.dataset.update(ann_file=f'{data_root}/val_full.jsonl', **source)
test_dataloader.dataset.update(ann_file=f'{data_root}/test_full.jsonl', **source)
