"""The size of frames as published weights want it."""

from functools import cached_property
from typing import Any

from mmcv.transforms import BaseTransform

from stgt_mm.io.pretrained import FramePreparation, check_library, read_preparation
from stgt_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PretrainedResize(BaseTransform):
    """Resizes and crops as the files beside published weights say; the model normalises.

    Args:
        pretrained: Folder or Hugging Face name, that of the model.
        library: ``'transformers'``, which reads ``preprocessor_config.json``, or ``'open_clip'``, which reads
            ``open_clip_config.json``.

    Raises:
        ValueError: If the files cannot be had.
    """

    is_random = False

    def __init__(self, pretrained: str, library: str = 'transformers') -> None:
        self.pretrained = pretrained
        self.library = check_library(library)

    @cached_property
    def preparation(self) -> FramePreparation:
        """What the files say, read on first use."""
        return read_preparation(self.pretrained, self.library)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resizes ``frames``, uint8, shape (T, 3, H, W)."""
        results['frames'] = self.preparation.resize(results['frames'])
        return results

    def __repr__(self) -> str:
        return f"PretrainedResize(pretrained='{self.pretrained}', library='{self.library}')"
