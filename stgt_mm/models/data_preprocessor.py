"""The step from a collated batch to what the model reads: normalised clips and token ids, on the device."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from stgt_mm.functional.text_cleaning import clean_caption
from stgt_mm.registry import MODELS, TOKENIZERS

CLIP_MEAN = (122.771, 116.746, 104.094)
CLIP_STD = (68.501, 66.632, 70.323)


@MODELS.register_module()
class VideoTextDataPreprocessor(BaseDataPreprocessor):
    """Normalises frames and tokenises captions, both on the device of the model.

    Captions are cleaned here and nowhere else: training captions and test queries cannot differ in it.

    Args:
        tokenizer: Config of a tokenizer; built on first use, so that a model can be looked at without its
            vocabulary.
        mean: Mean a channel (RGB), in [0, 255]; CLIP's by default.
        std: Standard deviation a channel, in [0, 255].
        max_words: Words of a caption that are kept before tokenisation.
        non_blocking: Whether copies to the device may be asynchronous.
    """

    def __init__(
        self,
        tokenizer: dict[str, Any],
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        max_words: int = 50,
        non_blocking: bool = False,
    ) -> None:
        super().__init__(non_blocking)
        self._tokenizer_cfg = tokenizer
        self.max_words = max_words
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1), persistent=False)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer, built on first use."""
        return TOKENIZERS.build(self._tokenizer_cfg)

    def clean(self, text: str) -> str:
        """Writes a caption as the tokenizer reads it: two captions are one if this is equal."""
        return clean_caption(text, self.max_words)

    def tokenize(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Cleans and tokenises K captions: ids and mask (K, L), True at tokens, on the model's device."""
        ids, mask = self.tokenizer([self.clean(text) for text in texts])
        return ids.to(self.mean.device), mask.to(self.mean.device)

    def normalise(self, clips: Tensor) -> Tensor:
        """Brings frames (..., 3, H, W) in [0, 255] to zero mean and unit variance a channel, as float32."""
        return (clips.float() - self.mean) / self.std

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepares a collated batch.

        ``inputs`` are frames, uint8 (B, T, 3, H, W), or cached backbone tokens, float (B, T, 1 + N, C). They
        become a dict with ``video`` or ``tokens``, and, when every sample has a caption, ``text_ids`` and
        ``text_mask`` (B, L). ``training`` is unused: nothing random happens on the device.
        """
        samples = data['data_samples']
        clips = data['inputs'].to(self.mean.device, non_blocking=self._non_blocking)
        inputs = {'video': self.normalise(clips)} if clips.ndim == 5 else {'tokens': clips.float()}
        if samples and all('text' in sample for sample in samples):
            inputs['text_ids'], inputs['text_mask'] = self.tokenize([sample.text for sample in samples])
        return {'inputs': inputs, 'data_samples': samples}
