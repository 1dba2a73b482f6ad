"""Comparison of clips and texts in one space: VTC in stage 1, CSAL in stage 2."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt_mm.distributed import all_gather_with_grad, gather_ids, row_counts, row_offset
from stgt_mm.functional.contrastive import related_pairs
from stgt_mm.functional.similarity import (
    cosine_matrix,
    full_precision,
    max_query_similarity,
    mean_query_embedding,
)
from stgt_mm.models.heads.temperature import TemperatureHead
from stgt_mm.registry import MODELS


class Contrast(NamedTuple):
    """The local pairs of a batch, compared with the global batch."""

    losses: dict[str, Tensor]  # objectives (loss_*) and diagnostics
    v2t: Tensor  # (B, G): cosines of the local videos with all texts, max over queries
    t2v: Tensor  # (B, G): cosines of the local texts with all videos, max over queries
    related: Tensor  # (B, G), bool: row and column share the video or the text
    temperature: Tensor  # 0-d, divisor of the cosines
    counts: list[int]  # rows on each rank; further gathers of the same batch need not ask for them


@MODELS.register_module()
class ContrastiveHead(TemperatureHead):
    """Two projections, one temperature, and the contrastive objectives.

    Args:
        width: Width of the Q-Former, D; None where embeddings come projected, as those of a dual encoder.
        embed_dim: Width of the common space, P; theirs if ``width`` is None.
        temperature: Starting value of the learnable divisor of the cosines.
        temperature_range: Lowest and highest value it may take.
        alpha: Weight of VTC; CSAL has ``1 - alpha``. 1 in stage 1, 0 in stage 2, may be set at any time.
        vtc: Config of the contrastive loss, None for ``dict(type='VTC')``.
        csal: Config of the cross-similarity loss, None for ``dict(type='CSAL')``.
        vision_width: Width of what is projected on the video side, where it is not D.

    Raises:
        ValueError: If ``alpha`` is outside [0, 1] or ``temperature`` outside its range.

    Source: STGT Eq. 18-21; names of the parameters (``vision_proj``, ``text_proj``, ``temp``) as in BLIP-2.
    """

    def __init__(
        self,
        width: int | None,
        embed_dim: int = 256,
        temperature: float = 0.07,
        temperature_range: tuple[float, float] = (0.001, 0.5),
        alpha: float = 1.0,
        vtc: dict[str, Any] | None = None,
        csal: dict[str, Any] | None = None,
        vision_width: int | None = None,
    ) -> None:
        super().__init__()
        self.vision_proj, self.text_proj = (
            nn.Identity() if width is None else nn.Linear(own, embed_dim)
            for own in (vision_width or width, width)
        )
        self.add_temperature(temperature, temperature_range)
        self.alpha = alpha
        self.vtc = MODELS.build(vtc or {'type': 'VTC'})
        self.csal = MODELS.build(csal or {'type': 'CSAL'})

    @property
    def alpha(self) -> float:
        """Weight of VTC in [0, 1]; CSAL has the rest."""
        return self._alpha

    @alpha.setter
    def alpha(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f'alpha must lie in [0, 1]: 1 is VTC alone, 0 is CSAL alone, got {value}.')
        self._alpha = float(value)

    def project_queries(self, queries: Tensor) -> Tensor:
        """Projects the Q-Former's queries, (V, Q, D), to normalised embeddings, (V, Q, P)."""
        return F.normalize(full_precision(self.vision_proj(queries)), dim=-1)

    def project_text(self, states: Tensor) -> Tensor:
        """Projects token states (K, L, D), of which the first is taken, or (K, D), to normalised (K, P)."""
        cls = states[:, 0] if states.dim() == 3 else states
        return F.normalize(full_precision(self.text_proj(cls)), dim=-1)

    def similarity(self, queries: Tensor, texts: Tensor) -> Tensor:
        """Cosines of clips (V, Q, P) with texts (K, P): the best of a clip's queries, shape (V, K)."""
        return max_query_similarity(queries, texts)

    def loss(
        self,
        queries: Tensor,
        texts: Tensor,
        video_ids: Sequence[str] | Tensor,
        text_keys: Sequence[str] | Tensor,
    ) -> Contrast:
        """Compares the local pairs with the global batch; all communication of the head is here.

        Args:
            queries: Output of :meth:`project_queries`, shape (B, Q, P).
            texts: Output of :meth:`project_text`, shape (B, P); row b is said of clip b.
            video_ids: B ids of the clips.
            text_keys: B ids of the texts; best the texts themselves, so that equal strings are recognised.

        Returns:
            The cosines, and in ``losses``: ``loss_vtc`` (``alpha`` > 0) and ``loss_csal`` (``alpha`` < 1),
            both weighted; ``temperature``; with CSAL ``target_diagonal``, the mean target mass on the own
            pairs of this rank: 1 is VTC's target, 1/G is uniform.
        """
        counts = row_counts(len(queries), queries.device)
        positives = row_offset(counts) + torch.arange(len(queries), device=queries.device)
        all_queries, all_texts = all_gather_with_grad(queries, counts), all_gather_with_grad(texts, counts)
        videos, all_videos = gather_ids(video_ids, queries.device, counts)
        keys, all_keys = gather_ids(text_keys, queries.device, counts)
        related = related_pairs(videos, keys, all_videos, all_keys)
        self.clamp_temperature()
        temperature = self.temperature
        v2t, t2v = self.similarity(queries, all_texts), self.similarity(all_queries, texts).T
        logits = v2t / temperature, t2v / temperature
        losses: dict[str, Tensor] = {}
        if self.alpha > 0:
            losses['loss_vtc'] = self.alpha * self.vtc(*logits, positives, related)
        if self.alpha < 1:
            clips = cosine_matrix(mean_query_embedding(queries), mean_query_embedding(all_queries))
            targets = self.csal.targets(clips, cosine_matrix(texts, all_texts), positives)
            losses['loss_csal'] = (1 - self.alpha) * self.csal(*logits, targets)
            losses['target_diagonal'] = targets.detach().gather(1, positives.unsqueeze(1)).mean()
        losses['temperature'] = temperature.detach().clone()
        return Contrast(losses, v2t, t2v, related, temperature.detach(), counts)
