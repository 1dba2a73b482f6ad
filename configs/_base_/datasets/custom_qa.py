"""Questions on your own videos, trained and tested on one file; see docs/question_answering.md."""

from mmengine.config import read_base

with read_base():
    from .custom import *

from stgt_mm.datasets import VideoQADataset
from stgt_mm.engine.loops import AnswerLoop
from stgt_mm.evaluation import VideoQAMetric

asked = dict(
    type=VideoQADataset,
    ann_file=f'{data_root}/qa.jsonl',
    made_by=f'python tools/dataset_converters/custom.py LIST {data_root}/qa.jsonl --questions '
    f'--video-root {data_root}/videos',
)
train_dataloader.batch_size = 64
train_dataloader.dataset.update(asked)
val_dataloader.dataset.update(asked)
test_dataloader.dataset.update(asked)
val_evaluator = dict(type=VideoQAMetric)
test_evaluator = dict(type=VideoQAMetric)
val_cfg = dict(type=AnswerLoop)
test_cfg = dict(type=AnswerLoop)
