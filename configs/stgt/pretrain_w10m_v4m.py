"""Pre-training on WebVid-10M and 4M clips of VIDAL-10M, both stages in one run, P = 256.

    bash tools/dist_train.sh configs/stgt/pretrain_w10m_v4m.py 8

A batch comes from one of the two, the same one on all processes, in proportion to their sizes.
"""

from mmengine.config import read_base

with read_base():
    from .pretrain_w10m import *

from stgt_mm.datasets import MixedDataset, SourceBatchSampler

train_dataloader.dataset = dict(type=MixedDataset, sources=dict(webvid10m=webvid10m, vidal4m=vidal4m))
train_dataloader.batch_sampler = dict(type=SourceBatchSampler)
test_evaluator.paper_row = 'msrvtt_zeroshot/stgt_w10m_v4m_256'
