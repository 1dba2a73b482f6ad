"""Your own videos and captions on two CPU cores: the tiny STGT, VTC+VTM+VTG, trained and tested on one file.

With the videos in ``data/custom/videos``, this makes what is read here (docs/custom_videos.md)::

    python tools/dataset_converters/custom.py LIST data/custom/train.jsonl --video-root data/custom/videos
    python tools/dataset_converters/build_vocab.py data/custom/train.jsonl data/custom/vocab.txt
"""

from mmengine.config import read_base

with read_base():
    from .._base_.default_runtime import *
    from .._base_.models.stgt_tiny import *

from torch.optim import AdamW

from stgt_mm.datasets import RetrievalDataset, VideoTextDataset, video_text_collate
from stgt_mm.datasets.samplers import EpochSampler
from stgt_mm.datasets.transforms import LoadVideo, PackVideoText, Resize
from stgt_mm.engine.hooks import FeatureCacheHook, VisionNormInitHook
from stgt_mm.engine.loops import ResumableEpochLoop, RetrievalLoop
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.engine.schedulers import StagedWarmupCosine
from stgt_mm.evaluation import RetrievalMetric

data_root = 'data/custom'
videos = dict(ann_file=f'{data_root}/train.jsonl', video_root=f'{data_root}/videos')
pipeline = [
    dict(type=LoadVideo, num_frames=8, sampling='uniform'),
    dict(type=Resize, size=48),
    dict(type=PackVideoText),
]
model.data_preprocessor.tokenizer.vocab = f'{data_root}/vocab.txt'
cached = dict(pipeline=pipeline, feature_cache=dict(root=f'{data_root}/cache'), **videos)
loader = dict(num_workers=0, collate_fn=dict(type=video_text_collate))
train_dataloader = dict(
    batch_size=32,
    dataset=dict(type=VideoTextDataset, **cached),
    sampler=dict(type=EpochSampler, shuffle=True),
    **loader,
)
val_dataloader = dict(
    batch_size=32,
    dataset=dict(type=RetrievalDataset, **cached),
    sampler=dict(type=EpochSampler, shuffle=False),
    **loader,
)
test_dataloader = dict(
    batch_size=32,
    dataset=dict(type=RetrievalDataset, pipeline=pipeline, **videos),
    sampler=dict(type=EpochSampler, shuffle=False),
    **loader,
)
val_evaluator = test_evaluator = dict(type=RetrievalMetric)
# Validation is on what is trained on: this config shows that a set can be fitted, nothing else.
val_cfg = dict(type=RetrievalLoop, rerank_k=32, score_fusion='calibrated', calibrate=True)
test_cfg = dict(type=RetrievalLoop, rerank_k=32, score_fusion='calibrated')
train_cfg = dict(type=ResumableEpochLoop, max_epochs=200, val_interval=50)
optim_wrapper = dict(
    type=AutocastOptimWrapper,
    optimizer=dict(type=AdamW, lr=5e-4, weight_decay=0.05, betas=(0.9, 0.98)),
    constructor=TrainableParamsConstructor,
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = dict(
    type=StagedWarmupCosine, convert_to_iter_based=True, stages=[(200, 5e-4)], warmup_ratio=0.05, min_lr=1e-5
)
default_hooks.checkpoint.interval = 50
custom_hooks = [dict(type=FeatureCacheHook), dict(type=VisionNormInitHook)]
