"""Pre-training on WebVid-2M and the images of CC3M, both stages in one run, P = 256.

    bash tools/dist_train.sh configs/stgt/pretrain_w2m_cc3m.py 8

A batch comes from one of the two, the same one on all processes, in proportion to their sizes.
An image is a clip of one frame and keeps all its 1 + N tokens.
"""

from mmengine.config import read_base

with read_base():
    from .pretrain_w10m import *

from stgt_mm.datasets import MixedDataset, SourceBatchSampler

train_dataloader.dataset = dict(type=MixedDataset, sources=dict(webvid2m=webvid2m, cc3m=cc3m))
train_dataloader.batch_sampler = dict(type=SourceBatchSampler)
test_evaluator.paper_row = 'msrvtt_zeroshot/stgt_w2m_cc3m_256'
