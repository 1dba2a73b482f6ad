"""Moving Shapes: made by ``python tools/dataset_converters/moving_shapes.py data/moving_shapes``."""

from stgt_mm.datasets import CaptionChoiceDataset, RetrievalDataset, VideoTextDataset, video_text_collate
from stgt_mm.datasets.samplers import EpochSampler
from stgt_mm.datasets.transforms import LoadVideo, PackVideoText, Resize, ReverseTime
from stgt_mm.engine.loops import RetrievalLoop
from stgt_mm.evaluation import RetrievalMetric
from stgt_mm.moving_shapes.group_sampler import GroupBatchSampler

data_root = 'data/moving_shapes'
source = dict(
    video_root=f'{data_root}/videos',
    made_by=f'python tools/dataset_converters/moving_shapes.py {data_root}',
)
num_frames = 8
# No flip and no reversal: captions name directions and orders.
pipeline = [
    dict(type=LoadVideo, num_frames=num_frames, sampling='uniform'),
    dict(type=ReverseTime),
    dict(type=Resize, size=48),
    dict(type=PackVideoText),
]
# The backbone is frozen and nothing above is random: its tokens are computed once.
feature_cache = dict(root=f'{data_root}/cache')

train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type=VideoTextDataset,
        ann_file=f'{data_root}/train.jsonl',
        pipeline=pipeline,
        feature_cache=feature_cache,
        **source,
    ),
    # Four captions a clip: an epoch is as many pairs as there are clips.
    sampler=dict(type=EpochSampler, shuffle=True, samples_per_epoch=8000),
    batch_sampler=dict(
        type=GroupBatchSampler,
        group_size=4,
        group_fraction=0.5,
        curriculum=[
            dict(key='level', max_value=1, until=0.12, group_fraction=1.0),
            dict(key='level', max_value=2, until=0.3, group_fraction=1.0),
            dict(key='level', max_value=3, until=0.6, group_fraction=1.0),
        ],
        max_epochs=10,
    ),
    collate_fn=dict(type=video_text_collate),
)
clips = dict(pipeline=pipeline, **source)
evaluation_loader = dict(
    batch_size=32,
    num_workers=1,
    sampler=dict(type=EpochSampler, shuffle=False),
    collate_fn=dict(type=video_text_collate),
)
val_dataloader = dict(
    dataset=dict(
        type=RetrievalDataset, ann_file=f'{data_root}/val.jsonl', feature_cache=feature_cache, **clips
    ),
    **evaluation_loader,
)
test_dataloader = dict(
    dataset=dict(type=RetrievalDataset, ann_file=f'{data_root}/test.jsonl', **clips),
    **evaluation_loader,
)
choices = dict(
    backwards=dict(
        dataset=dict(type=CaptionChoiceDataset, ann_file=f'{data_root}/backwards.jsonl', **clips),
        **evaluation_loader,
    ),
    one_fact=dict(
        dataset=dict(type=CaptionChoiceDataset, ann_file=f'{data_root}/one_fact.jsonl', **clips),
        **evaluation_loader,
    ),
)
val_evaluator = dict(type=RetrievalMetric)
test_evaluator = dict(type=RetrievalMetric)
val_cfg = dict(type=RetrievalLoop, rerank_k=8, score_fusion='calibrated', calibrate=True)
test_cfg = dict(type=RetrievalLoop, rerank_k=8, score_fusion='calibrated', choices=choices)
