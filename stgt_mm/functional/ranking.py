"""Ranks and recalls of retrieval: by counting greater scores, with ties and many-to-many relations.

No library of metrics knows queries with several items and items of several queries, or ties by expectation.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

TIES = ('average', 'optimistic', 'pessimistic')
CUTOFFS = (1, 5, 10)


class RankCounts(NamedTuple):
    """Where the best relevant item of each query stands, before ties are decided; each int64, shape (n,)."""

    better: Tensor  # items with a greater score than the best relevant one
    tied: Tensor  # irrelevant items with exactly its score
    relevant: Tensor  # relevant items with exactly its score, itself included, so at least 1


class Relation(NamedTuple):
    """Which items answer which queries: a sparse many-to-many relation, one entry a pair."""

    query: Tensor  # int64, shape (E,)
    item: Tensor  # int64, shape (E,)

    @classmethod
    def from_lists(cls, items: list[list[int]]) -> 'Relation':
        """Builds the relation from the indices of the relevant items of each query."""
        query = [index for index, own in enumerate(items) for _ in own]
        item = [value for own in items for value in own]
        return cls(torch.tensor(query, dtype=torch.int64), torch.tensor(item, dtype=torch.int64))

    @property
    def swapped(self) -> 'Relation':
        """The relation with queries and items exchanged."""
        return Relation(self.item, self.query)

    def is_one_to_one(self) -> bool:
        """Tells whether no query and no item occurs twice."""
        return all(len(index.unique()) == len(index) for index in (self.query, self.item))

    def mask(self, start: int, stop: int, num_items: int) -> Tensor:
        """Writes queries [start, stop) as a dense mask (stop - start, num_items), True where relevant."""
        mask = torch.zeros(stop - start, num_items, dtype=torch.bool)
        inside = (self.query >= start) & (self.query < stop)
        mask[self.query[inside] - start, self.item[inside]] = True
        return mask


def row_chunks(rows: int, columns: int, budget: int = 1 << 22) -> Iterator[tuple[int, int]]:
    """Cuts a large matrix into blocks of rows [start, stop), of about ``budget`` elements, at least a row."""
    step = max(1, budget // max(1, columns))
    for start in range(0, rows, step):
        yield start, min(rows, start + step)


def count_ranks(scores: Tensor, relevant: Tensor, tier: Tensor | None = None) -> RankCounts:
    """Counts the items ahead of, and level with, the best relevant item of each query.

    Nothing is sorted. With ``tier`` items compare by the pair (tier, score): every item of a higher tier is
    ahead of every item of a lower one, whatever the scores; no score is shifted and none stands for "last".

    Args:
        scores: Shape (n, N), any floating type.
        relevant: True where relevant, bool, shape (n, N).
        tier: Integers or bool, shape (n, N).

    Returns:
        The counts, each of shape (n,).

    Raises:
        ValueError: If scores hold NaN (the message says how many) or a query has no relevant item.
    """
    bad = int(scores.isnan().sum())
    if bad:
        raise ValueError(
            f'{bad} of {scores.numel()} scores are NaN: they cannot be ranked. Look for clips that decode to '
            'nothing, or a model that overflowed (evaluate without --amp to tell them apart).'
        )
    lacking = (~relevant.any(dim=1)).nonzero().flatten()
    if len(lacking):
        raise ValueError(f'{len(lacking)} queries have no relevant item, the first is row {int(lacking[0])}.')
    tier = torch.zeros_like(scores, dtype=torch.int8) if tier is None else tier.to(torch.int8)
    lowest = torch.iinfo(torch.int8).min
    best_tier = tier.masked_fill(~relevant, lowest).amax(dim=1, keepdim=True)
    candidates = relevant & (tier == best_tier)
    best = scores.masked_fill(~candidates, -torch.inf).amax(dim=1, keepdim=True)
    same_tier = tier == best_tier
    better = (tier > best_tier) | (same_tier & (scores > best))
    level = same_tier & (scores == best)
    return RankCounts(better.sum(1), (level & ~relevant).sum(1), (level & relevant).sum(1))


def best_of_groups(
    scores: Tensor, relation: Relation, num_groups: int, tier: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Takes the best item of each of G groups: the captions of a video become the video.

    Scores and tiers are (n, N) and become (n, G), tiers as int8; a higher tier wins before the score is
    looked at. ``relation`` holds pairs (item, group); an item may be in several groups, a group without items
    has the lowest tier.
    """
    tier = torch.zeros_like(scores, dtype=torch.int8) if tier is None else tier.to(torch.int8)
    group = relation.item.expand(len(scores), -1)
    tiers = tier.new_full((len(scores), num_groups), torch.iinfo(torch.int8).min)
    tiers = tiers.scatter_reduce(1, group, tier[:, relation.query], 'amax')
    in_best = tier[:, relation.query] == tiers.gather(1, group)
    values = scores[:, relation.query].masked_fill(~in_best, -torch.inf)
    best = scores.new_full((len(scores), num_groups), -torch.inf).scatter_reduce(1, group, values, 'amax')
    return best, tiers


def _decide_ties(counts: RankCounts, ties: str) -> RankCounts:
    if ties not in TIES:
        raise ValueError(f"ties='{ties}' is unknown. Use one of {', '.join(TIES)}.")
    if ties == 'average':
        return counts
    better = counts.better if ties == 'optimistic' else counts.better + counts.tied
    return RankCounts(better, torch.zeros_like(counts.tied), counts.relevant)


def ranks(counts: RankCounts, ties: str = 'average') -> Tensor:
    """Turns counts into ranks (n,) of the best relevant item, float64, 1 for the first place.

    ``ties``: ``'average'`` is the mean over all orders of the tied items, 1 + better + tied / (relevant + 1),
    ``'optimistic'`` is ahead of them and ``'pessimistic'`` behind them.
    """
    counts = _decide_ties(counts, ties)
    return 1.0 + counts.better.double() + counts.tied.double() / (counts.relevant + 1)


def hits(counts: RankCounts, cutoff: int, ties: str = 'average') -> Tensor:
    """Tells for each of n queries whether a relevant item is among the first ``cutoff``: float64 in [0, 1].

    ``ties`` as in :func:`ranks`. With ``'average'`` a hit that depends on a tie counts by its probability
    over all orders of the tied items, so constant scores give exactly the recall of guessing.
    """
    counts = _decide_ties(counts, ties)
    level = counts.tied + counts.relevant
    miss = torch.ones(len(counts.better), dtype=torch.float64)
    for place in range(cutoff):
        open_place = place < cutoff - counts.better
        left = (counts.tied - place).clamp(min=0).double() / (level - place).clamp(min=1)
        miss = torch.where(open_place, miss * left, miss)
    return 1.0 - miss


def retrieval_metrics(
    counts: RankCounts, ties: str = 'average', cutoffs: tuple[int, ...] = CUTOFFS
) -> dict[str, float]:
    """Computes the numbers of a retrieval table.

    Args:
        counts: What :func:`count_ranks` gives, all queries of one direction.
        ties: As in :func:`ranks`.
        cutoffs: The k of R@k.

    Returns:
        ``R<k>`` for each cutoff and their mean ``Rmean``, in percent; ``MdR`` and ``MnR``, median and mean
        rank.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.ranking import count_ranks, retrieval_metrics
        >>> scores = torch.tensor([[0.9, 0.1], [0.7, 0.3]])  # the second query ranks its item second
        >>> retrieval_metrics(count_ranks(scores, torch.eye(2, dtype=torch.bool)), cutoffs=(1, 2))
        {'R1': 50.0, 'R2': 100.0, 'Rmean': 75.0, 'MdR': 1.5, 'MnR': 1.5}
    """
    rank = ranks(counts, ties)
    result = {f'R{k}': 100.0 * float(hits(counts, k, ties).mean()) for k in cutoffs}
    result['Rmean'] = sum(result.values()) / len(cutoffs)
    result['MdR'] = float(rank.quantile(0.5))
    result['MnR'] = float(rank.mean())
    return result
