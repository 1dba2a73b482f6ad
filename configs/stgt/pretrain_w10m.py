"""Pre-training on WebVid-10M, both stages in one run, P = 256: the paper's rows with 10M pairs.

    bash tools/dist_train.sh configs/stgt/pretrain_w10m.py 8

Starts from BLIP-2's Q-Former and heads; the neck starts from random weights.
Where the files are from: docs/pretraining.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.pretrain import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_vitg import *
    from .._base_.schedules.pretrain_two_stage import *

train_dataloader.dataset = webvid10m
load_from = 'weights/blip2_qformer.safetensors'
load_strict = ['neck']
default_hooks.checkpoint.save_best = None
test_evaluator.paper_row = 'msrvtt_zeroshot/stgt_w10m_256'
