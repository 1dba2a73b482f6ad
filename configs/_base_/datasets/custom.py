"""Your own videos and captions at 48 x 48 px, trained and tested on one file; see docs/custom_videos.md."""

from stgt_mm.datasets import RetrievalDataset, VideoTextDataset, video_text_collate
from stgt_mm.datasets.samplers import EpochSampler
from stgt_mm.datasets.transforms import LoadVideo, PackVideoText, Resize
from stgt_mm.engine.loops import RetrievalLoop
from stgt_mm.evaluation import RetrievalMetric

data_root = 'data/custom'
videos = dict(
    ann_file=f'{data_root}/train.jsonl',
    video_root=f'{data_root}/videos',
    made_by=f'python tools/dataset_converters/custom.py LIST {data_root}/train.jsonl '
    f'--video-root {data_root}/videos',
)
pipeline = [
    dict(type=LoadVideo, num_frames=8, sampling='uniform'),
    dict(type=Resize, size=48),
    dict(type=PackVideoText),
]
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
# Validation is on what is trained on: it shows that a set can be fitted, nothing else.
val_cfg = dict(type=RetrievalLoop, rerank_k=32, score_fusion='calibrated', calibrate=True)
test_cfg = dict(type=RetrievalLoop, rerank_k=32, score_fusion='calibrated')
