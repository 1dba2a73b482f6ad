"""Heads that give a model a sense of time and place, beside its contrast: S-ViLM's two objectives."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt_mm.distributed import all_gather_with_grad, gather_ids, gather_no_grad, row_counts, row_offset
from stgt_mm.functional.contrastive import related_pairs
from stgt_mm.functional.grounding import grounding_similarity
from stgt_mm.functional.similarity import full_precision
from stgt_mm.functional.temporal_grouping import foreground_probability, has_both_sides
from stgt_mm.models.heads.temperature import TemperatureHead
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample

EncodePhrases = Callable[[Tensor, Tensor], Tensor]  # ids and mask (R, L) to states (R, D)


class VideoStructure(NamedTuple):
    """What a model knows of its clips before they become one embedding."""

    frames: Tensor | None  # (B, T', C), one a time step; None of a model whose tokens have no time
    regions: Tensor  # (B, M, C): groups, or simply the video tokens


@MODELS.register_module()
class TemporalGroupingHead(nn.Module):
    """Finds the frames of a pasted segment by the centres of both parts; holds no parameters.

    Needs ``CutPasteBlend`` among the ``batch_transforms`` of the data preprocessor.

    Args:
        temperature: Divisor of the cosines, > 0.
        loss: Config, None for ``dict(type='TemporalGroupingLoss')``.

    Raises:
        ValueError: If ``temperature`` is not positive.

    Source: S-ViLM (arXiv 2303.16341), temporal grouping.
    """

    def __init__(self, temperature: float = 0.1, loss: dict[str, Any] | None = None) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f'temperature must be positive, got {temperature}.')
        self.temperature = temperature
        self.criterion = MODELS.build(loss or {'type': 'TemporalGroupingLoss'})

    def loss(
        self,
        structure: VideoStructure,
        encode_phrases: EncodePhrases,
        inputs: dict[str, Tensor],
        samples: list[VideoTextSample],
    ) -> dict[str, Tensor]:
        """Takes ``temporal_mask`` (B, T') of the inputs.

        Returned are ``loss_temporal_grouping`` and ``frame_accuracy``, the share of frames in blended clips
        of this rank on the right side of 0.5, 0 without any.
        """
        if structure.frames is None:
            raise ValueError(
                'TemporalGroupingHead needs video tokens that stand frame by frame, which this neck mixes: '
                'use neck=dict(type="STGT", ...) or none.'
            )
        mask = _given(inputs, 'temporal_mask', 'CutPasteBlend', 'TemporalGroupingHead')
        if mask.shape != structure.frames.shape[:2]:
            raise ValueError(
                f'temporal_mask is {list(mask.shape)} and the video has {list(structure.frames.shape[:2])} '
                'time steps: make tubelet of CutPasteBlend that of the backbone.'
            )
        probability = foreground_probability(structure.frames, mask, self.temperature)
        with torch.no_grad():
            right = ((probability > 0.5) == (mask > 0.5)).float().mean(dim=1)
            blended = has_both_sides(mask)
            accuracy = (right * blended).sum() / blended.sum().clamp(min=1)
        return {'loss_temporal_grouping': self.criterion(probability, mask), 'frame_accuracy': accuracy}


@MODELS.register_module()
class NounGroundingHead(TemperatureHead):
    """Grounds the noun phrases of a caption among the regions of its video, against all other videos.

    Needs ``NounPrompts`` among the ``batch_transforms`` of the data preprocessor. Two captions with equal
    sets of phrases are no negatives of each other, nor is a caption without a phrase of anything, nor the two
    clips of a blend, of which each shows some of the other's nouns.

    Args:
        width: Width of regions, C.
        text_width: Width of the states of phrases, D; that of regions if None.
        embed_dim: Width of the common space.
        temperature: Starting value of the learnable divisor of cosines, of the softmax over regions and of
            the contrast.
        temperature_range: Lowest and highest value it may take.
        loss: Config, None for ``dict(type='NounGroundingLoss')``.

    Raises:
        ValueError: If ``temperature`` is outside its range.

    Source: S-ViLM (arXiv 2303.16341), spatial grounding.
    """

    def __init__(
        self,
        width: int,
        text_width: int | None = None,
        embed_dim: int = 256,
        temperature: float = 0.07,
        temperature_range: tuple[float, float] = (0.01, 0.5),
        loss: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.region_proj = nn.Linear(width, embed_dim)
        self.noun_proj = nn.Linear(text_width or width, embed_dim)
        self.add_temperature(temperature, temperature_range)
        self.criterion = MODELS.build(loss or {'type': 'NounGroundingLoss'})

    def project_regions(self, regions: Tensor) -> Tensor:
        """Projects regions (B, M, C) to normalised embeddings (B, M, P)."""
        return F.normalize(full_precision(self.region_proj(regions)), dim=-1)

    def project_nouns(self, states: Tensor) -> Tensor:
        """Projects states of phrases (..., D) to normalised embeddings (..., P)."""
        return F.normalize(full_precision(self.noun_proj(states)), dim=-1)

    def loss(
        self,
        structure: VideoStructure,
        encode_phrases: EncodePhrases,
        inputs: dict[str, Tensor],
        samples: list[VideoTextSample],
    ) -> dict[str, Tensor]:
        """Takes ``noun_ids``, ``noun_mask`` (B*K, L), ``phrase_mask`` (B, K) and ``phrase_keys`` (B,).

        Returned are ``loss_noun_grounding``, ``noun_temperature``, and ``noun_accuracy``: the share of this
        rank's captions with a phrase that find their video first among those that count.
        """
        mask = _given(inputs, 'phrase_mask', 'NounPrompts', 'NounGroundingHead')
        states = encode_phrases(inputs['noun_ids'], inputs['noun_mask'])
        nouns = self.project_nouns(states).unflatten(0, mask.shape)
        groups = self.project_regions(structure.regions)
        counts = row_counts(len(groups), groups.device)
        all_nouns, all_groups = all_gather_with_grad(nouns, counts), all_gather_with_grad(groups, counts)
        all_mask = gather_no_grad(mask, counts)
        self.clamp_temperature()
        temperature = self.temperature
        v2t = grounding_similarity(all_nouns, all_mask, groups, temperature).T / temperature
        t2v = grounding_similarity(nouns, mask, all_groups, temperature) / temperature
        related = self._related(inputs, samples, all_mask, counts)
        positives = row_offset(counts) + torch.arange(len(mask), device=mask.device)
        valid = mask.any(dim=1)
        with torch.no_grad():
            own = t2v.gather(1, positives[:, None])
            first = (t2v <= own).logical_or(related).all(dim=1)
            accuracy = (first & valid).sum() / valid.sum().clamp(min=1)
        return {
            'loss_noun_grounding': self.criterion(v2t, t2v, positives, related, valid),
            'noun_temperature': temperature.detach().clone(),
            'noun_accuracy': accuracy,
        }

    def _related(
        self,
        inputs: dict[str, Tensor],
        samples: list[VideoTextSample],
        all_mask: Tensor,
        counts: list[int],
    ) -> Tensor:
        """Marks, boolean (B, G), what is no negative."""
        device = all_mask.device
        videos, all_videos = gather_ids([sample.video_id for sample in samples], device, counts)
        keys, all_keys = gather_ids(inputs['phrase_keys'], device, counts)
        related = related_pairs(videos, keys, all_videos, all_keys) | ~all_mask.any(dim=1)
        if 'blend_partner' in inputs:
            own = torch.arange(len(videos), device=device)
            related[own, row_offset(counts) + inputs['blend_partner']] = True
            related[inputs['blend_partner'], row_offset(counts) + own] = True
        return related


def _given(inputs: dict[str, Tensor], key: str, transform: str, head: str) -> Tensor:
    if key not in inputs:
        raise ValueError(
            f"{head} finds no '{key}' in the batch: put dict(type='{transform}', ...) into "
            'model.data_preprocessor.batch_transforms.'
        )
    return inputs[key]
