"""UCF101, made by ``tools/dataset_converters/ucf101.py``: 101 actions; split 1 has 9,537 / 3,783 videos.

There is no validation. Splits 2 and 3: docs/action_recognition.md.
"""

from mmengine.config import read_base

with read_base():
    from .actions_224 import *

data_root = 'data/ucf101'
source = dict(
    video_root=f'{data_root}/videos',
    made_by=f'python tools/dataset_converters/ucf101.py downloads/ucf101 {data_root}',
)
actions = f'{data_root}/actions.txt'
num_actions = 101
train_dataloader.dataset.update(ann_file=f'{data_root}/train_1.jsonl', **source)
test_dataloader.dataset.update(ann_file=f'{data_root}/test_1.jsonl', **source)
test_evaluator.actions = actions
