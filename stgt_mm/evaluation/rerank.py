"""Re-ranking: candidates of both directions, pooled, each pair scored once, grouped by video."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stgt_mm.evaluation.encode import Context, TextBank, checked, device_of, merge_disjoint
from stgt_mm.functional.ranking import row_chunks

RERANK_BLOCK = 128


@dataclass
class RankedScores:
    """Scores of one direction: a similarity for every pair and, re-ranked, better ones for candidates.

    Attributes:
        name: Prefix of the metrics, for example ``'t2v'`` or ``'sim_t2v'``.
        direction: ``'t2v'`` (texts are the queries) or ``'v2t'``.
        similarity: Shape (n, N): n queries, N items.
        candidates: Items that were re-ranked, shape (n, k), or ``None``.
        fused: Their scores, shape (n, k), or ``None``.
        process: Post-processing of rows of similarities, (m, N) to (m, N), or ``None``. Not together with
            candidates.
    """

    name: str
    direction: str
    similarity: Tensor
    candidates: Tensor | None = None
    fused: Tensor | None = None
    process: Callable[[Tensor], Tensor] | None = None

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor | None]:
        """Takes the scores of some queries.

        Args:
            start: First query.
            stop: Query after the last.

        Returns:
            Scores and tiers, each (stop - start, N). Tier 1 holds the candidates with their fused scores and
            goes before tier 0, the others with their similarity. Without re-ranking there is no tier.
        """
        scores = self.similarity[start:stop].double()
        if self.process is not None:
            scores = self.process(scores)
        if self.candidates is None:
            return scores, None
        index = self.candidates[start:stop]
        tier = torch.zeros_like(scores, dtype=torch.int8).scatter_(1, index, 1)
        return scores.scatter(1, index, self.fused[start:stop].double()), tier


def top_candidates(similarity: Tensor, k: int) -> Tensor:
    """Finds the items that are worth re-ranking.

    Args:
        similarity: Shape (n, N).
        k: Candidates a query; more than N means all.

    Returns:
        Item indices, best first, of equally good ones the first, int64, shape (n, min(k, N)). So those for a
        smaller k are the first of those for a larger one.
    """
    blocks = row_chunks(*similarity.shape)
    return torch.cat([_best_first(similarity[start:stop], k) for start, stop in blocks])


def _best_first(scores: Tensor, k: int) -> Tensor:
    # topk takes any of equally good items, a full sort takes ten times as long: it is left to rows with ties
    values, index = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    tied = (values[:, 1:] == values[:, :-1]).any(1)
    if tied.any():
        order = scores[tied].sort(dim=1, descending=True, stable=True).indices
        index[tied] = order[:, : index.shape[1]]
    return index[:, :k].clone()


class CandidatePairs:
    """(video, text) pairs without repetition, sorted by video.

    Args:
        video: Video of each pair; repetitions are dropped.
        text: Text of each pair.
        num_texts: K.
    """

    def __init__(self, video: Tensor, text: Tensor, num_texts: int) -> None:
        self.num_texts = num_texts
        self.keys = (video * num_texts + text).unique()
        self.video = self.keys // num_texts
        self.text = self.keys % num_texts

    @classmethod
    def pooled(cls, t2v: Tensor, v2t: Tensor) -> 'CandidatePairs':
        """Pools the candidates of both directions.

        Args:
            t2v: Videos for each text, shape (K, k).
            v2t: Texts for each video, shape (V, k').

        Returns:
            The pairs.
        """
        texts, videos = torch.arange(len(t2v)), torch.arange(len(v2t))
        video = torch.cat([t2v.flatten(), videos.repeat_interleave(v2t.shape[1])])
        text = torch.cat([texts.repeat_interleave(t2v.shape[1]), v2t.flatten()])
        return cls(video, text, len(t2v))

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, video: Tensor, text: Tensor) -> Tensor:
        """Finds pairs.

        Args:
            video: Any shape.
            text: Broadcasts against it.

        Returns:
            Positions of the pairs, the broadcast shape. The pairs must be there.
        """
        return torch.searchsorted(self.keys, (video * self.num_texts + text).contiguous())


def match_pairs(
    model: nn.Module,
    tokens: dict[int, Tensor],
    texts: TextBank,
    pairs: CandidatePairs,
    context: Context = nullcontext,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Scores each pair once with the matching head; a video is projected once for all its texts.

    A process scores the pairs of its own videos, one video at a time, shortest texts first, in fixed blocks:
    what is computed together hangs only on the pairs.

    Args:
        model: Has ``qformer.project_video``, ``qformer.fuse`` and ``matching_head``.
        tokens: Video tokens (1, M, C) by index, of the videos that this process owns.
        texts: The texts.
        pairs: n pairs.
        context: Makes the context that the model runs in (autocast).
        progress: Called with videos done and videos in all.

    Returns:
        Logits (no match, match) of every pair on every process, float32 on the CPU, shape (n, 2).

    Raises:
        ValueError: If logits are NaN.
    """
    device = device_of(model)
    length = texts.mask.sum(dim=1)
    logits = torch.zeros(len(pairs), 2)
    for done, index in enumerate(sorted(tokens)):
        bounds = torch.searchsorted(pairs.video, torch.tensor([index, index + 1]))
        own = torch.arange(int(bounds[0]), int(bounds[1]))
        if not len(own):
            continue
        own = own[length[pairs.text[own]].argsort(stable=True)]
        with context():
            keys_values = model.qformer.project_video(tokens[index].to(device))
            for part in own.split(RERANK_BLOCK):
                ids, mask = texts.tokens(pairs.text[part], device)
                fused = model.qformer.fuse(keys_values, ids[None], mask[None])
                logits[part] = model.matching_head(fused)[0].float().cpu()
        if progress is not None:
            progress(done + 1, len(tokens))
    return checked(merge_disjoint(logits), 'matching logits')
