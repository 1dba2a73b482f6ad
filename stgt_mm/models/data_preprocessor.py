"""The step from a collated batch to what the model reads: normalised clips and token ids, on the device."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn

from stgt_mm.functional.text_cleaning import clean_caption
from stgt_mm.registry import BATCH_TRANSFORMS, MODELS, TOKENIZERS

CLIP_MEAN = (122.771, 116.746, 104.094)
CLIP_STD = (68.501, 66.632, 70.323)


@MODELS.register_module()
class VideoTextDataPreprocessor(BaseDataPreprocessor):
    """Normalises frames and tokenises captions, both on the device of the model.

    Captions are cleaned here and nowhere else: training captions and test queries cannot differ in it.

    Args:
        tokenizer: Config of a tokenizer; built on first use, so that a model can be looked at without its
            vocabulary. None for a model that reads no text.
        mean: Mean a channel (RGB), in [0, 255]; by default that of the backbone's weights, and CLIP's where
            they tell none.
        std: Standard deviation a channel, likewise.
        max_words: Words of a caption that are kept before tokenisation; None leaves texts as they are, for a
            published tokenizer that cleans them its own way.
        non_blocking: Whether copies to the device may be asynchronous.
        batch_transforms: Configs of what is done to a training batch last, such as ``CutPasteBlend``.
    """

    def __init__(
        self,
        tokenizer: dict[str, Any] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        max_words: int | None = 50,
        non_blocking: bool = False,
        batch_transforms: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(non_blocking)
        self._tokenizer_cfg = tokenizer
        self.max_words = max_words
        self.batch_transforms = [BATCH_TRANSFORMS.build(step) for step in batch_transforms]
        self._given = {'mean': mean, 'std': std}
        for name, default in (('mean', CLIP_MEAN), ('std', CLIP_STD)):
            value = torch.tensor(self._given[name] or default).view(3, 1, 1)
            self.register_buffer(name, value, persistent=False)

    def follow(self, backbone: nn.Module) -> None:
        """Takes over ``mean`` and ``std`` of a backbone that has them, where the config gives none."""
        for name, given in self._given.items():
            value = getattr(backbone, name, None)
            if given is None and value is not None:
                setattr(self, name, torch.tensor(value).view(3, 1, 1))

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer, built on first use."""
        if self._tokenizer_cfg is None:
            raise ValueError('data_preprocessor has no tokenizer, and there is text to read: give it one.')
        return TOKENIZERS.build(self._tokenizer_cfg)

    def clean(self, text: str) -> str:
        """Writes a caption as the tokenizer reads it: two captions are one if this is equal."""
        return text.strip() if self.max_words is None else clean_caption(text, self.max_words)

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
        ``text_mask`` (B, L), and what the batch transforms make of it in ``training``.
        """
        samples = data['data_samples']
        clips = data['inputs'].to(self.mean.device, non_blocking=self._non_blocking)
        inputs = {'video': self.normalise(clips)} if clips.ndim == 5 else {'tokens': clips.float()}
        if samples and all('text' in sample for sample in samples):
            inputs['text_ids'], inputs['text_mask'] = self.tokenize([sample.text for sample in samples])
        for step in self.batch_transforms if training else ():
            inputs = step(inputs, samples, self)
        return {'inputs': inputs, 'data_samples': samples}
