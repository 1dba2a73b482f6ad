"""Rankings: every query against all items, by similarity and, for the best candidates, by fused scores."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.evaluator import Evaluator
from torch import Tensor

from stgt_mm.evaluation.match import Candidates
from stgt_mm.functional.fusion import WEIGHT_GRID, choose_weight
from stgt_mm.functional.ranking import (
    RankCounts,
    Relation,
    best_of_groups,
    count_ranks,
    retrieval_metrics,
    row_chunks,
)


@dataclass
class Ranking:
    """Scores of one direction: a similarity for every pair and, re-ranked, better ones for candidates."""

    name: str  # prefix of the metrics: 't2v', 'sim_t2v', ...
    direction: str  # 't2v' (texts are the queries) or 'v2t'
    relation: Relation  # queries to the items that answer them
    similarity: Tensor  # (n, N): n queries, N items
    candidates: Tensor | None = None  # items that were re-ranked, (n, k)
    fused: Tensor | None = None  # their scores, (n, k)
    process: Callable[[Tensor], Tensor] | None = None  # of rows (m, N), instead of re-ranking

    @property
    def galleries(self) -> tuple[str, ...]:
        """What is ranked: ``'videos'`` or ``'captions'``; from video to text both, where they can differ."""
        if self.direction == 't2v':
            return ('videos',)
        return ('captions',) if self.relation.is_one_to_one() else ('captions', 'videos')

    def blocks(self, first: int = 0, step: int = 1) -> Iterator[tuple[int, Tensor, Tensor, Tensor | None]]:
        """Yields every ``step``-th block of m queries: number of its first, scores, what is relevant, tier.

        These are (m, N). Tier 1 holds the candidates with their fused scores and goes before tier 0, the
        others with their similarity; without re-ranking there is no tier.
        """
        for start, stop in islice(row_chunks(*self.similarity.shape), first, None, step):
            relevant = self.relation.mask(start, stop, self.similarity.shape[1])
            scores, tier = self.similarity[start:stop].double(), None
            if self.process is not None:
                scores = self.process(scores)
            if self.candidates is not None:
                index = self.candidates[start:stop]
                tier = torch.zeros_like(scores, dtype=torch.int8).scatter_(1, index, 1)
                scores = scores.scatter(1, index, self.fused[start:stop].double())
            yield start, scores, relevant, tier


def similarity_rankings(similarity: Tensor, relation: Relation) -> list[Ranking]:
    """Ranks by similarity (V, K) in both directions; ``relation`` is of texts to videos."""
    return [
        Ranking('t2v', 't2v', relation, similarity.T),
        Ranking('v2t', 'v2t', relation.swapped, similarity),
    ]


def fused_rankings(
    plain: Sequence[Ranking], best: Candidates, fused: Tensor, k: int | None = None
) -> list[Ranking]:
    """Ranks the first k candidates of each query by the fused scores (n,) of the pairs, the others behind.

    ``plain`` are the rankings by similarity, text to video and back.
    """
    t2v, v2t = plain
    return [
        replace(t2v, candidates=best.t2v[:, :k], fused=fused[best.t2v_pair[:, :k]]),
        replace(v2t, candidates=best.v2t[:, :k], fused=fused[best.v2t_pair[:, :k]]),
    ]


def calibrated_weight(plain: Sequence[Ranking], best: Candidates, fuse: Callable[..., Tensor]) -> float:
    """Chooses the weight of ``fuse(cosine, logits, weight=...)`` with the best R-mean of both directions."""

    def quality(weight: float) -> float:
        total = 0.0
        for ranking in fused_rankings(plain, best, fuse(best.cosine, best.logits, weight=weight)):
            parts = [count_ranks(*block) for _, *block in ranking.blocks()]
            total += retrieval_metrics(RankCounts(*map(torch.cat, zip(*parts))))['Rmean']
        return total

    return choose_weight(quality, WEIGHT_GRID)


def count_rankings(evaluator: Evaluator, rankings: Sequence[Ranking]) -> dict[str, float]:
    """Has the metrics of an evaluator count all queries, each process its share; returns the metrics."""
    for ranking in rankings:
        for queries in query_batches(ranking):
            evaluator.process(data_samples=queries)
    return evaluator.evaluate(sum(len(own.similarity) * len(own.galleries) for own in rankings))


def query_batches(ranking: Ranking) -> Iterator[list[dict[str, Any]]]:
    """Lays out this process's share of the queries as data samples for metrics, a dict a query, in batches.

    ``ranking``: its name; ``gallery``: what is ranked, ``'videos'`` or ``'captions'``, one a batch;
    ``query``: its index; ``scores``: float64 (N,); ``relevant``: bool (N,); ``tier``: int8 (N,) or None: a
    higher tier goes before a lower one, whatever the scores.
    """
    for start, scores, relevant, tier in ranking.blocks(get_rank(), get_world_size()):
        for gallery in ranking.galleries:
            if (ranking.direction, gallery) == ('v2t', 'videos'):
                # the best caption of each video stands for it, and the query's own video is the right one
                videos = torch.arange(len(ranking.similarity))
                scores, tier = best_of_groups(scores, ranking.relation.swapped, len(videos), tier)
                relevant = Relation(videos, videos).mask(start, start + len(scores), len(videos))
            yield [
                {
                    'ranking': ranking.name,
                    'gallery': gallery,
                    'query': start + row,
                    'scores': scores[row],
                    'tier': None if tier is None else tier[row],
                    'relevant': relevant[row],
                }
                for row in range(len(scores))
            ]
