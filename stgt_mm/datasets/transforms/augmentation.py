"""RandAugment on clips: the same operations, by the same amount, on every frame."""

from collections.abc import Callable, Sequence
from typing import Any

from mmcv.transforms import BaseTransform
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from stgt_mm.registry import TRANSFORMS
from stgt_mm.utils import did_you_mean

LARGEST = 10
GREY = 128


def _affine(
    frames: Tensor, angle: float = 0.0, shift: Sequence[float] = (0, 0), shear: Sequence[float] = (0, 0)
) -> Tensor:
    bilinear, grey = InterpolationMode.BILINEAR, [GREY] * frames.shape[-3]
    return F.affine(frames, angle, list(shift), 1.0, list(shear), interpolation=bilinear, fill=grey)


# Each takes (frames, amount in [-1, 1]). At amount 1: rotation by 30 degrees, a shear of 0.3 (16.7 degrees),
# a shift of 10 pixels at width 224, enhancement by a factor of 1.9 or 0.1.
OPERATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    'Identity': lambda frames, amount: frames,
    'AutoContrast': lambda frames, amount: F.autocontrast(frames),
    'Equalize': lambda frames, amount: F.equalize(frames),
    'Brightness': lambda frames, amount: F.adjust_brightness(frames, 1 + 0.9 * amount),
    'Contrast': lambda frames, amount: F.adjust_contrast(frames, 1 + 0.9 * amount),
    'Color': lambda frames, amount: F.adjust_saturation(frames, 1 + 0.9 * amount),
    'Sharpness': lambda frames, amount: F.adjust_sharpness(frames, 1 + 0.9 * amount),
    'Posterize': lambda frames, amount: F.posterize(frames, 8 - round(4 * abs(amount))),
    'Solarize': lambda frames, amount: F.solarize(frames, 255 * (1 - abs(amount))),
    'Rotate': lambda frames, amount: _affine(frames, angle=30 * amount),
    'ShearX': lambda frames, amount: _affine(frames, shear=(16.7 * amount, 0)),
    'ShearY': lambda frames, amount: _affine(frames, shear=(0, 16.7 * amount)),
    'TranslateX': lambda frames, amount: _affine(frames, shift=(10 / 224 * amount * frames.shape[-1], 0)),
    'TranslateY': lambda frames, amount: _affine(frames, shift=(0, 10 / 224 * amount * frames.shape[-2])),
}

DEFAULT = (
    'Identity', 'AutoContrast', 'Brightness', 'Sharpness', 'Equalize',
    'ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate',
)  # fmt: skip


@TRANSFORMS.register_module()
class RandAugment(BaseTransform):
    """Applies a few operations drawn without repetition; never a flip, for captions name left and right.

    The sign of an amount is drawn, once a clip. Brightness and sharpness go both ways from the middle, 1 +-
    0.45 at magnitude 5, where the release's one-sided scale gives a factor of 1, no change.

    Source: RandAugment (arXiv 1909.13719); operations, number, magnitude and other ranges are the STGT
        release's.

    Args:
        num_ops: Operations a clip.
        magnitude: Strength from 0 to 10.
        operations: Names to draw from.

    Raises:
        ValueError: If the magnitude is out of range, a name is unknown or there are fewer names than
            ``num_ops``.
    """

    is_random = True

    def __init__(self, num_ops: int = 2, magnitude: float = 5, operations: Sequence[str] = DEFAULT) -> None:
        if not 0 <= magnitude <= LARGEST:
            raise ValueError(f'magnitude={magnitude} must be between 0 and {LARGEST}.')
        for name in operations:
            if name not in OPERATIONS:
                raise ValueError(f"no operation is called '{name}'. {did_you_mean(name, OPERATIONS)}")
        if not 0 <= num_ops <= len(operations):
            raise ValueError(f'num_ops={num_ops} cannot be drawn from {len(operations)} operations.')
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.operations = tuple(operations)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Changes the look of ``frames``, uint8, shape (T, 3, H, W), with draws of ``rng``."""
        rng = results['rng']
        frames = results['frames']
        for position in rng.choice(len(self.operations), size=self.num_ops, replace=False):
            sign = 1 if rng.random() < 0.5 else -1
            frames = OPERATIONS[self.operations[position]](frames, sign * self.magnitude / LARGEST)
        results['frames'] = frames
        return results

    def __repr__(self) -> str:
        return f'RandAugment({self.num_ops}, {self.magnitude}, {self.operations})'
