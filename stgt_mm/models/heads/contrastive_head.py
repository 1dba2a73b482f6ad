"""Projects clips and texts into one space and compares them: VTC in stage 1, CSAL in stage 2."""

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
from stgt_mm.registry import MODELS


class PairSimilarities(NamedTuple):
    """The local pairs of a batch against the global batch.

    Attributes:
        v2t: Cosines of the local videos with all texts, max over queries, shape (B, G).
        t2v: Cosines of the local texts with all videos, max over queries, shape (B, G).
        positives: Column of each row's own pair, int64, shape (B,).
        related: Boolean, shape (B, G); True where row and column share the video or the text.
        queries: Local and gathered query embeddings, (B, Q, P) and (G, Q, P).
        texts: Local and gathered text embeddings, (B, P) and (G, P).
        counts: Rows on each rank; pass it to further gathers of the same batch.
    """

    v2t: Tensor
    t2v: Tensor
    positives: Tensor
    related: Tensor
    queries: tuple[Tensor, Tensor]
    texts: tuple[Tensor, Tensor]
    counts: list[int]


@MODELS.register_module()
class ContrastiveHead(nn.Module):
    """Two projections, one temperature, and the contrastive objectives.

    Args:
        width: Width of the Q-Former, D.
        embed_dim: Width of the common space, P.
        temperature: Starting value of the learnable divisor of the cosines.
        temperature_range: Lowest and highest value it may take.
        alpha: Weight of VTC; CSAL has ``1 - alpha``. 1 in stage 1, 0 in stage 2, may be set at any time.
        vtc: Config of the contrastive loss, None for ``dict(type='VTC')``.
        csal: Config of the cross-similarity loss, None for ``dict(type='CSAL')``.

    Raises:
        ValueError: If ``alpha`` is outside [0, 1] or ``temperature`` outside its range.

    Source: STGT Eq. 16-21; names of the parameters (``vision_proj``, ``text_proj``, ``temp``) as in BLIP-2.
    """

    def __init__(
        self,
        width: int,
        embed_dim: int = 256,
        temperature: float = 0.07,
        temperature_range: tuple[float, float] = (0.001, 0.5),
        alpha: float = 1.0,
        vtc: dict[str, Any] | None = None,
        csal: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        low, high = temperature_range
        if not 0 < low <= temperature <= high:
            raise ValueError(f'temperature must lie in its range ({low}, {high}), got {temperature}.')
        self.vision_proj = nn.Linear(width, embed_dim)
        self.text_proj = nn.Linear(width, embed_dim)
        self.temp = nn.Parameter(torch.tensor(float(temperature)))
        self.temperature_range = (low, high)
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

    @property
    def temperature(self) -> Tensor:
        """The divisor of the cosines within its range, 0-d.

        The value is clamped, the gradient is not: a parameter at the border can always come back.
        """
        return self.temp + (self.temp.clamp(*self.temperature_range) - self.temp).detach()

    def project_queries(self, queries: Tensor) -> Tensor:
        """Projects the Q-Former's queries, (V, Q, D), to normalised embeddings, (V, Q, P)."""
        return F.normalize(full_precision(self.vision_proj(queries)), dim=-1)

    def project_text(self, states: Tensor) -> Tensor:
        """Projects token states (K, L, D), of which the first is taken, or (K, D), to normalised (K, P)."""
        cls = states[:, 0] if states.dim() == 3 else states
        return F.normalize(full_precision(self.text_proj(cls)), dim=-1)

    def compare(
        self,
        queries: Tensor,
        texts: Tensor,
        video_ids: Sequence[str] | Tensor,
        text_keys: Sequence[str] | Tensor,
    ) -> PairSimilarities:
        """Compares the local pairs with the global batch; all communication of the head is here.

        Args:
            queries: Output of :meth:`project_queries`, shape (B, Q, P).
            texts: Output of :meth:`project_text`, shape (B, P); row b is said of clip b.
            video_ids: B ids of the clips.
            text_keys: B ids of the texts; best the texts themselves, so that equal strings are recognised.

        Returns:
            Cosines and everything the objectives and the sampling of negatives need.
        """
        counts = row_counts(len(queries), queries.device)
        all_queries = all_gather_with_grad(queries, counts)
        all_texts = all_gather_with_grad(texts, counts)
        videos, all_videos = gather_ids(video_ids, queries.device, counts)
        keys, all_keys = gather_ids(text_keys, queries.device, counts)
        return PairSimilarities(
            v2t=max_query_similarity(queries, all_texts),
            t2v=max_query_similarity(all_queries, texts).T,
            positives=row_offset(counts) + torch.arange(len(queries), device=queries.device),
            related=related_pairs(videos, keys, all_videos, all_keys),
            queries=(queries, all_queries),
            texts=(texts, all_texts),
            counts=counts,
        )

    def pair_loss(self, pairs: PairSimilarities) -> dict[str, Tensor]:
        """Objectives of a compared batch.

        Args:
            pairs: Output of :meth:`compare`.

        Returns:
            ``loss_vtc`` (``alpha`` > 0) and ``loss_csal`` (``alpha`` < 1), weighted; ``temperature``; with
            CSAL also ``target_diagonal``, the mean target mass on the own pairs of this rank: 1 is VTC's
            target, 1/G is uniform.
        """
        with torch.no_grad():
            self.temp.clamp_(*self.temperature_range)
        temperature = self.temperature
        logits = pairs.v2t / temperature, pairs.t2v / temperature
        out: dict[str, Tensor] = {}
        if self.alpha > 0:
            out['loss_vtc'] = self.alpha * self.vtc(*logits, pairs.positives, pairs.related)
        if self.alpha < 1:
            clips, all_clips = (mean_query_embedding(queries) for queries in pairs.queries)
            targets = self.csal.targets(
                cosine_matrix(clips, all_clips), cosine_matrix(*pairs.texts), pairs.positives
            )
            out['loss_csal'] = (1 - self.alpha) * self.csal(*logits, targets)
            own = targets.detach().gather(1, pairs.positives.unsqueeze(1))
            out['target_diagonal'] = own.mean()
        out['temperature'] = temperature.detach().clone()
        return out

    def loss(
        self,
        queries: Tensor,
        texts: Tensor,
        video_ids: Sequence[str] | Tensor,
        text_keys: Sequence[str] | Tensor,
    ) -> dict[str, Tensor]:
        """:meth:`compare` and :meth:`pair_loss` in one, for callers that need no negatives.

        Args:
            queries: Output of :meth:`project_queries`, shape (B, Q, P).
            texts: Output of :meth:`project_text`, shape (B, P).
            video_ids: B ids of the clips.
            text_keys: B ids of the texts.

        Returns:
            See :meth:`pair_loss`.
        """
        return self.pair_loss(self.compare(queries, texts, video_ids, text_keys))
