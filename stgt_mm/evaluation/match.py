"""The matching head on the best candidates of each query.

As in :mod:`~stgt_mm.evaluation.encode`, what is computed together depends only on the data, never on the
number of processes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

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
    for index in track_on_main(sorted(tokens), 're-ranking, videos', len(tokens)):
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
