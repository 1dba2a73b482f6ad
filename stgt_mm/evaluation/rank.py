"""Second step of evaluation: similarity over all pairs, then the matching head on the best candidates.

As in :mod:`~stgt_mm.evaluation.encode`, what is computed together depends only on the data, never on the
number of processes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import torch
from torch import Tensor, nn

from stgt_mm.evaluation.encode import (
    EncodedSplit,
    EncodedTexts,
    autocast,
    device_of,
    merge_disjoint,
    own_blocks,
    refuse_nan,
    shown,
    trimmed,
)
from stgt_mm.functional.fusion import WEIGHT_GRID, choose_weight
from stgt_mm.functional.ranking import (
    RankCounts,
    Relation,
    count_ranks,
    retrieval_metrics,
    row_chunks,
)

VIDEO_BLOCK = 64
SIMILARITY_BLOCK = 512
MATCHING_BLOCK = 128


@dataclass
class Candidates:
    """The best items of every query in both directions; their n different pairs, each scored once."""

    t2v: Tensor  # videos of each text, best first, (K, k)
    v2t: Tensor  # texts of each video, best first, (V, k')
    t2v_pair: Tensor  # which of the n pairs each is, (K, k)
    v2t_pair: Tensor  # (V, k')
    cosine: Tensor  # similarity of the pairs, (n,)
    logits: Tensor  # their matching logits, (n, 2)


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


def rank_split(
    model: nn.Module,
    split: EncodedSplit,
    values: Sequence[int],
    fuse: Callable[..., Tensor] | None,
    processors: Sequence[Callable[[Ranking], Ranking | None]] = (),
    calibrate: bool = False,
    amp: torch.dtype | None = None,
) -> tuple[dict[int, list[Ranking]], float | None]:
    """Ranks a split with each number of candidates k, the same on every process; a pair is scored once.

    Args:
        model: A ``VideoTextAligner``, in evaluation mode.
        split: The split.
        values: Numbers of candidates; 0 is similarity alone.
        fuse: Makes scores of cosines (n,), logits (n, 2) and, when it is calibrated, ``weight``; None if no
            value is above 0.
        processors: Make a ranking by similarity into another one, or None where that has no meaning.
        calibrate: Whether to choose the weight.
        amp: Precision; None is full.

    Returns:
        The rankings by k, and the weight if one was chosen.
    """
    similarity = similarity_matrix(model, split.videos.queries, split.texts.embeddings)
    plain = similarity_rankings(similarity, split.relation)
    made = [process(ranking) for process in processors for ranking in plain]
    plain += [ranking for ranking in made if ranking is not None]
    rankings, weight = dict.fromkeys(values, plain), None
    if max(values):
        found = match_candidates(model, split, similarity, max(values), amp)
        if calibrate:
            weight = calibrated_weight(similarity, split.relation, found, fuse)
            fuse = partial(fuse, weight=weight)
        fused = fuse(found.cosine, found.logits)
        beside = [replace(ranking, name=f'sim_{ranking.name}') for ranking in plain]
        for k in filter(None, values):
            rankings[k] = fused_rankings(similarity, split.relation, found, fused, k) + beside
    return rankings, weight


def similarity_matrix(model: nn.Module, queries: Tensor, texts: Tensor) -> Tensor:
    """Cosines of query embeddings (V, Q, P) and texts (K, P): (V, K), float32 on the CPU of every process."""
    result = torch.zeros(len(queries), len(texts))
    for start, stop in own_blocks(len(texts), SIMILARITY_BLOCK):
        result[:, start:stop] = similarity_block(model, queries, texts[start:stop])
    return refuse_nan(merge_disjoint(result), 'similarities')


def similarity_block(model: nn.Module, queries: Tensor, texts: Tensor) -> Tensor:
    """Cosines with a block of texts (b, P), some videos at a time: float32 on the CPU, shape (V, b)."""
    device = device_of(model)
    texts = texts.to(device)
    parts = [model.similarity(part.to(device), texts).float().cpu() for part in queries.split(VIDEO_BLOCK)]
    return torch.cat(parts)


def top_candidates(similarity: Tensor, k: int) -> Tensor:
    """Finds the best items of each query in a matrix (n, N): indices, int64, shape (n, min(k, N)).

    The best comes first, of equally good ones the first: those for a smaller k lead those for a larger one.
    """
    blocks = []
    for start, stop in row_chunks(*similarity.shape):
        scores = similarity[start:stop]
        # topk takes any of equally good items; a full sort takes ten times as long: it is left to tied rows
        values, index = scores.topk(min(k + 1, scores.shape[1]), dim=1)
        tied = (values[:, 1:] == values[:, :-1]).any(1)
        if tied.any():
            order = scores[tied].sort(dim=1, descending=True, stable=True).indices
            index[tied] = order[:, : index.shape[1]]
        blocks.append(index[:, :k].clone())
    return torch.cat(blocks)


def unique_pairs(video: Tensor, text: Tensor, num_texts: int) -> tuple[Tensor, Tensor, Tensor]:
    """Videos and texts of the different pairs, sorted by video, and which of them each given one is."""
    keys, place = (video * num_texts + text).unique(return_inverse=True)
    return keys // num_texts, keys % num_texts, place


def match_pairs(
    model: nn.Module,
    tokens: dict[int, Tensor],
    texts: EncodedTexts,
    video: Tensor,
    text: Tensor,
    amp: torch.dtype | None = None,
) -> Tensor:
    """Logits (no match, match) of n pairs that are sorted by video, float32 on every process, shape (n, 2).

    A process scores the pairs of the videos whose ``tokens`` it owns, one video at a time, projected once for
    all its texts, these shortest first and in fixed blocks.
    """
    device = device_of(model)
    length = texts.mask.sum(dim=1)
    logits = torch.zeros(len(video), 2)
    for index in shown(sorted(tokens), 're-ranking, videos', len(tokens)):
        first, last = torch.searchsorted(video, torch.tensor([index, index + 1])).tolist()
        if first == last:
            continue
        own = first + length[text[first:last]].argsort(stable=True)
        with autocast(model, amp):
            keys_values = model.qformer.project_video(tokens[index].to(device))
            for part in own.split(MATCHING_BLOCK):
                ids, mask = trimmed(texts.ids[text[part]], texts.mask[text[part]], device)
                fused = model.qformer.fuse(keys_values, ids[None], mask[None])
                logits[part] = model.matching_head(fused)[0].float().cpu()
    return refuse_nan(merge_disjoint(logits), 'matching logits')


def match_candidates(
    model: nn.Module, split: EncodedSplit, similarity: Tensor, k: int, amp: torch.dtype | None = None
) -> Candidates:
    """Chooses the k best candidates of each query by similarity (V, K); the matching head scores them."""
    t2v, v2t = top_candidates(similarity.T, k), top_candidates(similarity, k)
    videos, texts = torch.arange(len(v2t)), torch.arange(len(t2v))
    video, text, place = unique_pairs(
        torch.cat([t2v.flatten(), videos.repeat_interleave(v2t.shape[1])]),
        torch.cat([texts.repeat_interleave(t2v.shape[1]), v2t.flatten()]),
        len(texts),
    )
    logits = match_pairs(model, split.videos.tokens, split.texts, video, text, amp)
    t2v_pair, v2t_pair = place[: t2v.numel()].view_as(t2v), place[t2v.numel() :].view_as(v2t)
    return Candidates(t2v, v2t, t2v_pair, v2t_pair, similarity[video, text], logits)


def similarity_rankings(similarity: Tensor, relation: Relation) -> list[Ranking]:
    """Ranks by similarity (V, K) in both directions; ``relation`` is of texts to videos."""
    back = relation.transposed()
    return [Ranking('t2v', 't2v', relation, similarity.T), Ranking('v2t', 'v2t', back, similarity)]


def fused_rankings(
    similarity: Tensor, relation: Relation, found: Candidates, fused: Tensor, k: int | None = None
) -> list[Ranking]:
    """Ranks the first k candidates of each query by the fused scores (n,) of the pairs, the others behind."""
    t2v, v2t = similarity_rankings(similarity, relation)
    t2v.candidates, t2v.fused = found.t2v[:, :k], fused[found.t2v_pair[:, :k]]
    v2t.candidates, v2t.fused = found.v2t[:, :k], fused[found.v2t_pair[:, :k]]
    return [t2v, v2t]


def calibrated_weight(
    similarity: Tensor, relation: Relation, found: Candidates, fuse: Callable[..., Tensor]
) -> float:
    """Chooses the weight of ``fuse(cosine, logits, weight=...)`` with the best R-mean of both directions."""

    def quality(weight: float) -> float:
        total = 0.0
        fused = fuse(found.cosine, found.logits, weight=weight)
        for ranking in fused_rankings(similarity, relation, found, fused):
            parts = [count_ranks(*block) for _, *block in ranking.blocks()]
            total += retrieval_metrics(RankCounts(*map(torch.cat, zip(*parts))))['Rmean']
        return total

    return choose_weight(quality, WEIGHT_GRID)
