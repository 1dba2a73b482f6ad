"""Transforms of a whole training batch on the device: clips are normalised then, captions tokenised."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stgt_mm.distributed import stable_ids
from stgt_mm.functional.cut_paste import blend_clips, draw_segments
from stgt_mm.registry import BATCH_TRANSFORMS
from stgt_mm.structures import VideoTextSample

if TYPE_CHECKING:
    from stgt_mm.models.data_preprocessor import VideoTextDataPreprocessor


@BATCH_TRANSFORMS.register_module()
class CutPasteBlend:
    """Pastes a segment of every clip of a training batch into another clip of the batch.

    The caption stays that of the segment. Random numbers are those of torch's global generator, which the
    training loop seeds at every step. Writes ``temporal_mask`` (B, T / tubelet), 1 at the segment and all 1
    for a clip left alone, and ``blend_partner`` (B,), the clip itself if left alone.

    Args:
        prob: Share of clips that are blended, in [0, 1].
        min_ratio: Shortest segment, as a share of the clip.
        max_ratio: Longest segment.
        tubelet: Frames of a tubelet of the backbone; segments begin and end between two. 1 for cached tokens.

    Raises:
        ValueError: If an option is out of range.

    Source: S-ViLM (arXiv 2303.16341), cut and paste. The lengths are ours.
    """

    def __init__(
        self, prob: float = 1.0, min_ratio: float = 0.25, max_ratio: float = 0.75, tubelet: int = 1
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie in [0, 1], got {prob}.')
        if not 0 < min_ratio <= max_ratio < 1:
            raise ValueError(f'0 < min_ratio <= max_ratio < 1, got {min_ratio} and {max_ratio}.')
        if tubelet < 1:
            raise ValueError(f'tubelet must be at least 1, got {tubelet}.')
        self.prob, self.min_ratio, self.max_ratio = prob, min_ratio, max_ratio
        self.tubelet = tubelet

    def __call__(
        self,
        inputs: dict[str, Tensor],
        samples: list[VideoTextSample],
        preprocessor: 'VideoTextDataPreprocessor',
    ) -> dict[str, Tensor]:
        """Blends ``video`` (B, T, 3, H, W) or ``tokens`` (B, T, 1+N, C); T is 1 or a multiple of tubelet."""
        name = 'tokens' if 'tokens' in inputs else 'video'
        clips = inputs[name]
        frames = clips.shape[1]
        if frames > 1 and frames % self.tubelet:
            raise ValueError(f'CutPasteBlend(tubelet={self.tubelet}): clips have {frames} frames.')
        tubelet = self.tubelet if frames > 1 else 1
        segments = draw_segments(len(clips), frames // tubelet, self.prob, self.min_ratio, self.max_ratio)
        own = torch.arange(len(clips))
        partner = torch.where(segments.length > 0, segments.partner, own)
        # copies to the device before the gather, which then waits for nothing
        segments = type(segments)(*(part.to(clips.device, non_blocking=True) for part in segments))
        blended, mask = blend_clips(clips, segments, tubelet)
        partner = partner.to(clips.device, non_blocking=True)
        return {**inputs, name: blended, 'temporal_mask': mask, 'blend_partner': partner}


@BATCH_TRANSFORMS.register_module()
class NounPrompts:
    """Puts noun phrases of the captions of a training batch into sentences and tokenises these.

    Reads ``noun_phrases`` of the samples, a list of str from the annotation file. Where there are more than K
    it draws K, and a template each, as :class:`CutPasteBlend` does. Writes ``noun_ids`` and ``noun_mask``
    (B*K, L), ``phrase_mask`` (B, K), False where a caption has fewer, and ``phrase_keys`` (B,), int64, equal
    for equal sets.

    Args:
        max_phrases: K; 2 in the paper.
        templates: Sentences with one ``{}``.

    Raises:
        ValueError: If an option has no meaning.

    Source: S-ViLM (arXiv 2303.16341), spatial grounding. The template is ours.
    """

    def __init__(self, max_phrases: int = 2, templates: Sequence[str] = ('a video of a {}',)) -> None:
        if max_phrases < 1:
            raise ValueError(f'max_phrases must be at least 1, got {max_phrases}.')
        if not templates or isinstance(templates, str) or any(one.count('{}') != 1 for one in templates):
            raise ValueError(f'templates are sentences with one {{}} each, got {templates!r}.')
        self.max_phrases = max_phrases
        self.templates = tuple(templates)

    def __call__(
        self,
        inputs: dict[str, Tensor],
        samples: list[VideoTextSample],
        preprocessor: 'VideoTextDataPreprocessor',
    ) -> dict[str, Tensor]:
        """Adds the tokenised prompts; a ValueError if a sample has no ``noun_phrases``."""
        texts, lengths, keys = [], [], []
        for sample in samples:
            if 'noun_phrases' not in sample:
                raise ValueError(
                    f"'{sample.video_id}' has no noun_phrases: write them into the annotations with "
                    'tools/dataset_converters/noun_phrases.py.'
                )
            phrases = self._draw(list(dict.fromkeys(sample.noun_phrases)))
            lengths.append(len(phrases))
            keys.append('\n'.join(sorted(phrases)))
            choices = torch.randint(len(self.templates), (len(phrases),)).tolist()
            prompts = [self.templates[choice].format(one) for choice, one in zip(choices, phrases)]
            texts += prompts + [''] * (self.max_phrases - len(phrases))
        ids, mask = preprocessor.tokenize(texts)
        phrase_mask = torch.arange(self.max_phrases) < torch.tensor(lengths)[:, None]
        return {
            **inputs,
            'noun_ids': ids,
            'noun_mask': mask,
            'phrase_mask': phrase_mask.to(ids.device),
            'phrase_keys': stable_ids(keys, ids.device),
        }

    def _draw(self, phrases: list[str]) -> list[str]:
        if len(phrases) <= self.max_phrases:
            return phrases
        return [phrases[index] for index in torch.randperm(len(phrases))[: self.max_phrases].tolist()]
