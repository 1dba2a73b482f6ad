"""S-ViLM: pre-training on WebVid-2M and the images of CC3M, as STGT's rows with 5M pairs; not in the paper.

    bash tools/dist_train.sh configs/s_vilm/pretrain_w2m_cc3m.py 8

The annotations need noun phrases: tools/dataset_converters/noun_phrases.py, see docs/s_vilm.md. A picture is
a tubelet and is not blended.
"""

from mmengine.config import read_base

with read_base():
    from .pretrain_videocc import *

from stgt_mm.datasets import MixedDataset, SourceBatchSampler

sources = dict(webvid2m=dict(webvid2m), cc3m=dict(cc3m))
for name, own in sources.items():
    folder = f'{data_root}/{name}'
    own['ann_file'] = f'{folder}/train_nouns.jsonl'
    own['made_by'] = f'{converters}/noun_phrases.py {folder}/train.jsonl {own["ann_file"]}'
train_dataloader.dataset = dict(type=MixedDataset, sources=sources)
train_dataloader.batch_sampler = dict(type=SourceBatchSampler)
test_evaluator.paper_row = None
