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

INTERPOLATIONS = ('bicubic', 'bilinear', 'nearest')


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else tuple(size)
    if height < 1 or width < 1:
        raise ValueError(f'size={size} is no picture size: give pixels, an int or (height, width).')
    return height, width


def _resized(
    frames: Tensor, size: tuple[int, int], interpolation: str = 'bicubic', antialias: bool = True
) -> Tensor:
    if tuple(frames.shape[-2:]) == size:
        return frames
    return F.resize(frames, list(size), InterpolationMode(interpolation), antialias=antialias)


@TRANSFORMS.register_module()
class Resize(BaseTransform):
    """Brings a clip to a size, whatever its shape was (no crop, no border).

    A clip that has the size already passes through uncopied. The authors' release resizes inside decord:
    ``'bilinear'`` is the nearest to it, see ``docs/method.md``.

    Args:
        size: Pixels: an int for a square, or (height, width).
        interpolation: ``'bicubic'``, ``'bilinear'`` or ``'nearest'``.
        antialias: Whether each new pixel averages over all old ones that it covers.

    Raises:
        ValueError: If the size is below one pixel, or the interpolation is unknown.
    """

    is_random = False

    def __init__(
        self, size: int | Sequence[int], interpolation: str = 'bicubic', antialias: bool = True
    ) -> None:
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation='{interpolation}' is unknown. Use one of {', '.join(INTERPOLATIONS)}."
            )
        self.size = _pair(size)
        self.interpolation = interpolation
        self.antialias = antialias

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resizes ``frames``, uint8, to shape (T, 3, *size)."""
        results['frames'] = _resized(results['frames'], self.size, self.interpolation, self.antialias)
        return results

    def __repr__(self) -> str:
        # the defaults are left out: names of feature caches hold the pipeline
        changed = '' if self.interpolation == 'bicubic' else f", interpolation='{self.interpolation}'"
        changed += '' if self.antialias else ', antialias=False'
        return f'Resize(size={self.size}{changed})'


@TRANSFORMS.register_module()
class SquareCrop(BaseTransform):
    """Brings the shorter side of a clip to a size and cuts a square out of it, so that no shape changes.

    ``results['crop']``, in [0, 1], is where the square lies on the longer side; without it, in the middle.

    Args:
        size: Pixels of a side.

    Raises:
        ValueError: If the size is below one pixel.
    """

    is_random = False
    view = 'crop'

    def __init__(self, size: int) -> None:
        self.size = _pair(size)[0]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Makes ``frames``, uint8, of shape (T, 3, size, size)."""
        frames = results['frames']
        scale = self.size / min(frames.shape[-2:])
        height, width = (max(self.size, round(side * scale)) for side in frames.shape[-2:])
        frames = _resized(frames, (height, width))
        place = results.get('crop', 0.5)
        top, left = round(place * (height - self.size)), round(place * (width - self.size))
        results['frames'] = frames[..., top : top + self.size, left : left + self.size]
        return results

    def __repr__(self) -> str:
        return f'SquareCrop(size={self.size})'


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
        results['frames'] = _resized(frames[..., top : top + height, left : left + width], self.size)
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
