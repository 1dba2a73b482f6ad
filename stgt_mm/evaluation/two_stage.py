"""Two-stage ranking: similarity over everything, then the matching head on each query's best candidates."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stgt_mm.evaluation.rerank import CandidatePairs, RankedScores, top_candidates
from stgt_mm.functional.fusion import WEIGHT_GRID, choose_weight
from stgt_mm.functional.ranking import (
    RankCounts,
    Relation,
    best_of_groups,
    count_ranks,
    retrieval_metrics,
    row_chunks,
)

Fusion = Callable[[Tensor, Tensor, float], Tensor]


def similarity_tables(similarity: Tensor, prefix: str = '') -> list[RankedScores]:
    """Lays out similarities for both directions.

    Args:
        similarity: Shape (V, K).
        prefix: Put before the names.

    Returns:
        Tables ``<prefix>t2v`` and ``<prefix>v2t``.
    """
    return [
        RankedScores(f'{prefix}t2v', 't2v', similarity.T),
        RankedScores(f'{prefix}v2t', 'v2t', similarity),
    ]


@dataclass
class TwoStage:
    """Candidates of both directions and the scores of their pairs.

    Attributes:
        similarity: Shape (V, K).
        t2v: Candidate videos of each text, shape (K, k).
        v2t: Candidate texts of each video, shape (V, k').
        pairs: The pairs of both, pooled, n of them.
        logits: Matching logits of the pairs, shape (n, 2).
    """

    similarity: Tensor
    t2v: Tensor
    v2t: Tensor
    pairs: CandidatePairs
    logits: Tensor

    @classmethod
    def of(cls, similarity: Tensor, k: int, match: Callable[[CandidatePairs], Tensor]) -> 'TwoStage':
        """Chooses the candidates and has their pairs scored once.

        Args:
            similarity: Shape (V, K).
            k: Candidates a query.
            match: Gives the logits (n, 2) of n pairs.

        Returns:
            The scores.
        """
        t2v, v2t = top_candidates(similarity.T, k), top_candidates(similarity, k)
        pairs = CandidatePairs.pooled(t2v, v2t)
        return cls(similarity, t2v, v2t, pairs, match(pairs))

    def narrowed(self, k: int) -> 'TwoStage':
        """Takes fewer candidates a query; nothing is scored again.

        Args:
            k: Candidates a query, at most as many as there are.

        Returns:
            The scores with the first k candidates.
        """
        return replace(self, t2v=self.t2v[:, :k], v2t=self.v2t[:, :k])

    def tables(self, fusion: Fusion, weight: float) -> list[RankedScores]:
        """Fuses the scores.

        Args:
            fusion: Takes cosines (n), logits (n, 2) and the weight, gives scores (n).
            weight: Weight of the matching margin.

        Returns:
            Tables ``t2v`` and ``v2t``.
        """
        fused = fusion(self.similarity[self.pairs.video, self.pairs.text], self.logits, weight)
        texts, videos = torch.arange(len(self.t2v))[:, None], torch.arange(len(self.v2t))[:, None]
        to_videos, to_texts = self.pairs.find(self.t2v, texts), self.pairs.find(videos, self.v2t)
        return [
            RankedScores('t2v', 't2v', self.similarity.T, self.t2v, fused[to_videos]),
            RankedScores('v2t', 'v2t', self.similarity, self.v2t, fused[to_texts]),
        ]

    def calibrate(self, fusion: Fusion, relation: Relation) -> float:
        """Chooses the weight with the best R-mean over both directions.

        Args:
            fusion: As in :meth:`tables`.
            relation: Texts to videos.

        Returns:
            The weight.
        """

        def quality(weight: float) -> float:
            tables = self.tables(fusion, weight)
            return sum(retrieval_metrics(count_table(table, relation))['Rmean'] for table in tables)

        return choose_weight(quality, WEIGHT_GRID)


def count_rows(
    table: RankedScores, relation: Relation, start: int, stop: int, gallery: str = 'captions'
) -> RankCounts:
    """Counts the ranks of some queries of a table.

    Args:
        table: The scores.
        relation: Texts to videos, whatever the table's direction.
        start: First query.
        stop: Query after the last.
        gallery: ``'captions'`` ranks the table's items; ``'videos'``, for ``v2t``, lets each video's best
            caption stand for it and ranks videos.

    Returns:
        The counts of stop - start queries.
    """
    scores, tier = table.rows(start, stop)
    rows, columns = table.similarity.shape
    if gallery == 'videos':
        own = torch.arange(rows)
        scores, tier = best_of_groups(scores, relation, rows, tier)
        relevant = Relation(own, own).mask(start, stop, rows)
    else:
        directed = relation if table.direction == 't2v' else relation.transposed()
        relevant = directed.mask(start, stop, columns)
    return count_ranks(scores, relevant, tier)


def count_table(table: RankedScores, relation: Relation) -> RankCounts:
    """Counts the ranks of all queries of a table, in chunks.

    Args:
        table: The scores.
        relation: Texts to videos, whatever the table's direction.

    Returns:
        The counts of all its queries.
    """
    parts = [count_rows(table, relation, start, stop) for start, stop in row_chunks(*table.similarity.shape)]
    return RankCounts(*(torch.cat(column) for column in zip(*parts)))
