"""MSR-VTT, made by ``tools/dataset_converters/msrvtt.py``: 9k training, 1k-A test.

There is no validation: the 497 videos that once were that are among the 9,000.
"""

from mmengine.config import read_base

with read_base():
    from .clips_224 import *

data_root = 'data/msrvtt'
source = dict(
    video_root=f'{data_root}/videos',
    made_by=f'python tools/dataset_converters/msrvtt.py downloads/msrvtt {data_root}',
)
train_dataloader.dataset.update(ann_file=f'{data_root}/train_9k.jsonl', **source)
test_dataloader = dict(
    dataset=dict(ann_file=f'{data_root}/test_1ka.jsonl', **source, **evaluation_set),
    **evaluation_loader,
)
