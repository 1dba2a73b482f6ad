"""The matching head on the best candidates of each query.

As in :mod:`~stgt_mm.evaluation.encode`, what is computed together depends only on the data, never on the
number of processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from stgt_mm.evaluation.encode import EncodedSplit, EncodedTexts, trimmed
from stgt_mm.evaluation.shares import autocast, device_of, merge_disjoint, refuse_nan
from stgt_mm.functional.ranking import row_chunks
from stgt_mm.progress import track_on_main

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


def match_candidates(
    model: nn.Module,
    split: EncodedSplit,
    similarity: Tensor,
    k: int,
    amp: torch.dtype | None = None,
    block: int = 1,
) -> Candidates:
    """Chooses the k best candidates of each query by similarity (V, K); the matching head scores them."""
    t2v, v2t = top_candidates(similarity.T, k), top_candidates(similarity, k)
    videos, texts = torch.arange(len(v2t)), torch.arange(len(t2v))
    video, text, place = unique_pairs(
        torch.cat([t2v.flatten(), videos.repeat_interleave(v2t.shape[1])]),
        torch.cat([texts.repeat_interleave(t2v.shape[1]), v2t.flatten()]),
        len(texts),
    )
    logits = match_pairs(model, split.videos.tokens, split.texts, video, text, amp, block)
    t2v_pair, v2t_pair = place[: t2v.numel()].view_as(t2v), place[t2v.numel() :].view_as(v2t)
    return Candidates(t2v, v2t, t2v_pair, v2t_pair, similarity[video, text], logits)


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
    block: int = 1,
) -> Tensor:
    """Logits (no match, match) of n pairs that are sorted by video, float32 on every process, shape (n, 2).

    A process scores the pairs of the videos whose ``tokens`` it owns, ``block`` neighbours at once, projected
    once for all their texts, these shortest first and in fixed blocks. Videos of a block that it does not own
    are zero; their texts are read all the same, so that no shape depends on who owns what.
    """
    device = device_of(model)
    length = texts.mask.sum(dim=1)
    logits = torch.zeros(len(video), 2)
    numbers = sorted({index // block for index in tokens})
    what = 're-ranking, videos' if block == 1 else f're-ranking, blocks of {block} videos'
    for number in track_on_main(numbers, what, len(numbers)):
        members = torch.arange(number * block, (number + 1) * block + 1)
        edges = torch.searchsorted(video, members).tolist()
        if edges[0] == edges[-1]:
            continue
        own = [first + length[text[first:last]].argsort(stable=True) for first, last in pairwise(edges)]
        here = torch.tensor([index in tokens for index in members[:-1].tolist()])
        zero = torch.zeros_like(tokens[int(members[:-1][here][0])])
        clips = torch.cat([tokens.get(index, zero) for index in members[:-1].tolist()])
        with autocast(model, amp):
            keys_values = model.qformer.project_video(clips.to(device))
            for rows, part in _parts(pad_sequence(own, batch_first=True, padding_value=-1)):
                real = part >= 0
                mask = texts.mask[text[part]] & real[..., None]
                given = trimmed(texts.ids[text[part]], mask, device)
                some = (
                    keys_values if rows.all() else model.qformer.select_videos(keys_values, rows.to(device))
                )
                found = model.matching_head(model.qformer.fuse(some, *given)).float().cpu()
                real &= here[rows, None]
                logits[part[real]] = found[real]
    return refuse_nan(merge_disjoint(logits), 'matching logits')


def _parts(pairs: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Cuts the pairs of S videos (S, k), -1 behind the last of each, into parts of ``MATCHING_BLOCK``.

    Yields which videos have some left (S,), and their next ones, as many of each.
    """
    while pairs.shape[1]:
        rows = pairs[:, 0] >= 0
        size = max(1, MATCHING_BLOCK // int(rows.sum()))
        yield rows, pairs[rows, :size]
        pairs = pairs[:, size:]
