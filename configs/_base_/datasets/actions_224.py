"""Actions in clips of 32 frames, one in two, at 224 x 224 px: trained at random places, tested in the middle.

``--cfg-options test_dataloader.dataset.views="(10,3)"`` tests 10 segments x 3 crops in place of one view.
"""

from stgt_mm.datasets import VideoActionDataset, video_text_collate
from stgt_mm.datasets.samplers import EpochSampler
from stgt_mm.datasets.transforms import LoadVideo, PackVideoText, RandAugment, RandomResizedCrop, SquareCrop
from stgt_mm.engine.loops import ActionLoop
from stgt_mm.evaluation import VideoAccuracy

train_pipeline = [
    dict(type=LoadVideo, num_frames=32, sampling='random_window', stride=2),
    dict(type=RandomResizedCrop, size=224, scale=(0.5, 1.0)),
    dict(type=RandAugment, num_ops=2, magnitude=5),
    dict(type=PackVideoText),
]
test_pipeline = [
    dict(type=LoadVideo, num_frames=32, sampling='window', stride=2),
    dict(type=SquareCrop, size=224),
    dict(type=PackVideoText),
]
loader = dict(num_workers=8, persistent_workers=True, collate_fn=dict(type=video_text_collate))
train_dataloader = dict(
    batch_size=16,
    pin_memory=True,
    dataset=dict(type=VideoActionDataset, pipeline=train_pipeline),
    sampler=dict(type=EpochSampler, shuffle=True),
    **loader,
)
test_dataloader = dict(
    batch_size=16,
    dataset=dict(type=VideoActionDataset, pipeline=test_pipeline, views=(1, 1)),
    sampler=dict(type=EpochSampler, shuffle=False),
    **loader,
)
test_evaluator = dict(type=VideoAccuracy)
test_cfg = dict(type=ActionLoop)
