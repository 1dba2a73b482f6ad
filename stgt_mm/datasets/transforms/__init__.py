"""Transforms of uint8 clips; the same random choice for all frames of a clip."""

from stgt_mm.datasets.transforms.augmentation import RandAugment
from stgt_mm.datasets.transforms.formatting import PackVideoText
from stgt_mm.datasets.transforms.loading import LoadImage, LoadVideo, ReverseTime
from stgt_mm.datasets.transforms.pretrained import PretrainedResize
from stgt_mm.datasets.transforms.spatial import RandomResizedCrop, Resize, SquareCrop

__all__ = [
    'LoadImage',
    'LoadVideo',
    'PackVideoText',
    'PretrainedResize',
    'RandAugment',
    'RandomResizedCrop',
    'Resize',
    'ReverseTime',
    'SquareCrop',
]
