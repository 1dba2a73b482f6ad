"""Clips of 8 frames at 224 x 224 px: what pre-training, fine-tuning and tests at the paper's size share.

Training: frames from both halves of the clip at random, a crop, RandAugment, and no flip (captions name left
and right). Tests: frames at equal distances, resized directly; k = 32 are re-ranked.
"""

from stgt_mm.datasets import RetrievalDataset, VideoTextDataset, video_text_collate
from stgt_mm.datasets.samplers import EpochSampler
from stgt_mm.datasets.transforms import LoadVideo, PackVideoText, RandAugment, RandomResizedCrop, Resize
from stgt_mm.engine.loops import RetrievalLoop
from stgt_mm.evaluation import RetrievalMetric

train_pipeline = [
    dict(type=LoadVideo, num_frames=8, sampling='headtail'),
    dict(type=RandomResizedCrop, size=224, scale=(0.5, 1.0)),
    dict(type=RandAugment, num_ops=2, magnitude=5),
    dict(type=PackVideoText),
]
test_pipeline = [
    dict(type=LoadVideo, num_frames=8, sampling='uniform'),
    dict(type=Resize, size=224),
    dict(type=PackVideoText),
]
loader = dict(num_workers=8, persistent_workers=True, collate_fn=dict(type=video_text_collate))
train_dataloader = dict(
    batch_size=20,
    pin_memory=True,
    dataset=dict(type=VideoTextDataset, pipeline=train_pipeline),
    sampler=dict(type=EpochSampler, shuffle=True),
    **loader,
)
evaluation_loader = dict(batch_size=8, sampler=dict(type=EpochSampler, shuffle=False), **loader)
evaluation_set = dict(type=RetrievalDataset, pipeline=test_pipeline)
evaluation = dict(type=RetrievalLoop, rerank_k=32, score_fusion='itm+itc')
test_evaluator = dict(type=RetrievalMetric)
test_cfg = evaluation
