"""Two-way choice: does the model prefer the true caption of a clip to a false one."""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor


def choice_indices(triples: list[dict[str, Any]]) -> tuple[Tensor, Tensor]:
    """Lays the triples out as pairs.

    Args:
        triples: n dicts with ``video``, ``true`` and ``false`` (indices).

    Returns:
        Videos, shape (n, 1), and texts (true, false), shape (n, 2), int64.
    """
    video = torch.tensor([[triple['video']] for triple in triples], dtype=torch.int64).reshape(-1, 1)
    text = torch.tensor([[t['true'], t['false']] for t in triples], dtype=torch.int64).reshape(-1, 2)
    return video, text


def choice_accuracy(scores: Tensor, kinds: list[str]) -> dict[str, float]:
    """Computes the accuracy of the choice; a tie counts half.

    Args:
        scores: Scores of the true and the false caption, shape (n, 2).
        kinds: The kind of each of the n choices.

    Returns:
        ``accuracy`` over all, and one entry a kind, in percent.

    Raises:
        ValueError: If there is no choice, or scores hold NaN (the message says how many).
    """
    bad = int(scores.isnan().sum())
    if not len(scores):
        raise ValueError('there is no choice to make: the data set has no triple that is left.')
    if bad:
        raise ValueError(f'{bad} of {scores.numel()} choice scores are NaN: nothing can be chosen.')
    right = (scores[:, 0] > scores[:, 1]).double() + 0.5 * (scores[:, 0] == scores[:, 1]).double()
    by_kind: dict[str, list[float]] = defaultdict(list)
    for kind, value in zip(kinds, right.tolist()):
        by_kind[kind].append(value)
    result = {'accuracy': 100.0 * float(right.mean())}
    result.update({kind: 100.0 * sum(own) / len(own) for kind, own in sorted(by_kind.items())})
    return result
