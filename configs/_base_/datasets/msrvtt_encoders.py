"""MSR-VTT for public dual encoders: 12 frames at equal distances, in training too.

Size, interpolation and crop come with the weights: a config names them in ``pipeline[1]`` of both loaders.
"""

from mmengine.config import read_base

with read_base():
    from .msrvtt import *

from stgt_mm.datasets.transforms import PretrainedResize

weights_pipeline = [
    dict(type=LoadVideo, num_frames=12, sampling='uniform'),
    dict(type=PretrainedResize, pretrained='weights/clip-vit-base-patch32'),
    dict(type=PackVideoText),
]
train_dataloader.batch_size = 32
train_dataloader.dataset.pipeline = weights_pipeline
test_dataloader.dataset.pipeline = weights_pipeline
test_cfg = dict(type=RetrievalLoop, rerank_k=0)
