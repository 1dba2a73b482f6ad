"""Caption choice: of two captions of a clip, one true and one false, which has the higher score?"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from stgt_mm.evaluation.encode import encode_texts, encode_videos
from stgt_mm.evaluation.match import match_pairs, unique_pairs
from stgt_mm.evaluation.similarity import similarity_matrix


def caption_choice(
    model: nn.Module,
    name: str,
    dataset: Dataset,
    batches: Iterable[dict[str, Any]],
    fuse: Callable[[Tensor, Tensor], Tensor] | None = None,
    skip_broken: bool = False,
    amp: torch.dtype | None = None,
    block: int = 1,
) -> tuple[dict[str, float], int]:
    """Lets a model choose between captions of a ``CaptionChoiceDataset``, n times; returns metrics and n.

    ``<name>/*`` is by similarity, ``fused_<name>/*`` by ``fuse`` of cosines (n, 2) and logits (n, 2, 2).
    """
    videos = encode_videos(model, dataset, batches, skip_broken, amp, block, f'encoding for {name}, videos')
    triples = [triple for triple in dataset.triples if triple['video'] not in videos.broken]
    texts = encode_texts(model, dataset.texts, amp)
    text = torch.tensor([[t['true'], t['false']] for t in triples], dtype=torch.int64).reshape(-1, 2)
    video = torch.tensor([t['video'] for t in triples], dtype=torch.int64)[:, None].expand_as(text)
    cosine = similarity_matrix(model, videos.queries, texts.embeddings)[video, text]
    kinds = [triple['kind'] for triple in triples]
    metrics = {f'{name}/{key}': value for key, value in choice_accuracy(cosine, kinds).items()}
    if fuse is not None:
        *pairs, place = unique_pairs(video, text, len(dataset.texts))
        logits = match_pairs(model, videos.tokens, texts, *pairs, amp, block)[place]
        fused = choice_accuracy(fuse(cosine, logits), kinds)
        metrics.update({f'fused_{name}/{key}': value for key, value in fused.items()})
    if videos.broken:
        metrics[f'{name}/skipped'] = len(dataset.triples) - len(triples)
    return metrics, len(triples)


def choice_accuracy(scores: Tensor, kinds: list[str]) -> dict[str, float]:
    """Percentage of true captions chosen, ``accuracy`` over all and one entry a kind; a tie counts half.

    ``scores`` (n, 2) are those of the true and the false caption, ``kinds`` n words.
    """
    bad = int(scores.isnan().sum())
    if not len(scores):
        raise ValueError('there is no choice to make: the data set has no triple that is left.')
    if bad:
        raise ValueError(f'{bad} of {scores.numel()} choice scores are NaN: nothing can be chosen.')
    right = (scores[:, 0] > scores[:, 1]).double() + 0.5 * (scores[:, 0] == scores[:, 1]).double()
    result = {'accuracy': 100.0 * float(right.mean())}
    for kind in sorted(set(kinds)):
        own = [value for value, of in zip(right.tolist(), kinds, strict=True) if of == kind]
        result[kind] = 100.0 * sum(own) / len(own)
    return result
