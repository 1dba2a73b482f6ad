"""Sizes and crops, the same for all frames of a clip."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from stgt_mm.registry import TRANSFORMS


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else tuple(size)
    if height < 1 or width < 1:
        raise ValueError(f'size={size} is no picture size: give pixels, an int or (height, width).')
    return height, width


def _bicubic(frames: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(frames.shape[-2:]) == size:
        return frames
    return F.resize(frames, list(size), interpolation=InterpolationMode.BICUBIC, antialias=True)


@TRANSFORMS.register_module()
class Resize(BaseTransform):
    """Brings a clip to a size, whatever its shape was (no crop, no border), bicubic with antialiasing.

    A clip that has the size already passes through uncopied.

    Args:
        size: Pixels: an int for a square, or (height, width).

    Raises:
        ValueError: If the size is below one pixel.
    """

    is_random = False

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = _pair(size)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resizes ``frames``, uint8, to shape (T, 3, *size)."""
        results['frames'] = _bicubic(results['frames'], self.size)
        return results

    def __repr__(self) -> str:
        return f'Resize(size={self.size})'


@TRANSFORMS.register_module()
class RandomResizedCrop(BaseTransform):
    """Cuts one random window out of all frames and brings it to a size.

    Args:
        size: Pixels: an int for a square, or (height, width).
        scale: Smallest and largest share of the frame's area, in (0, 1].
        ratio: Smallest and largest width / height of the window.

    Raises:
        ValueError: If a range is empty or outside its bounds.
    """

    is_random = True

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.5, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
    ) -> None:
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f'scale={tuple(scale)} must be (low, high) with 0 < low <= high <= 1.')
        if not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f'ratio={tuple(ratio)} must be (low, high) with 0 < low <= high.')
        self.size = _pair(size)
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crops ``frames``, uint8, with draws of ``rng``, and resizes them to shape (T, 3, *size)."""
        frames = results['frames']
        top, left, height, width = self.window(frames.shape[-2], frames.shape[-1], results['rng'])
        results['frames'] = _bicubic(frames[..., top : top + height, left : left + width], self.size)
        return results

    def window(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Draws top, left, height and width of a window in a frame of ``height`` by ``width`` pixels.

        After ten draws that do not fit it is the largest centred window of an allowed shape.
        """
        for _ in range(10):
            area = height * width * rng.uniform(*self.scale)
            shape = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if 0 < w <= width and 0 < h <= height:
                return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
        shape = min(max(width / height, self.ratio[0]), self.ratio[1])
        w, h = min(width, max(1, round(height * shape))), min(height, max(1, round(width / shape)))
        return (height - h) // 2, (width - w) // 2, h, w

    def __repr__(self) -> str:
        return f'RandomResizedCrop(size={self.size}, scale={self.scale}, ratio={self.ratio})'
