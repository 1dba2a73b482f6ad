"""Fusion of contrastive similarity and matching score for re-ranking."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SCORE_FUSIONS = ('itc', 'itm', 'itm+itc', 'calibrated')
DEFAULT_WEIGHT = 0.5
WEIGHT_GRID = (0.0, 0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)


def check_fusion(fusion: str) -> str:
    """Returns the name of a fusion, one of ``SCORE_FUSIONS``; another is a ValueError."""
    if fusion not in SCORE_FUSIONS:
        raise ValueError(f"score_fusion='{fusion}' is unknown. Use one of {', '.join(SCORE_FUSIONS)}.")
    return fusion


def fuse_scores(
    similarity: Tensor,
    logits: Tensor,
    fusion: str = 'itm+itc',
    temperature: float = 1.0,
    weight: float = DEFAULT_WEIGHT,
) -> Tensor:
    """Combines what the contrastive and the matching head say of a pair.

    ``'itc'``: the cosine; ``'itm'``: the matching probability; ``'itm+itc'``: their sum, the cosine not
    divided by the temperature; ``'calibrated'``: cosine / temperature + weight * (logit of match - logit of
    no match). The probability is taken in float64, where it saturates at a margin of 36 and not at 17.

    Source: ``'itm+itc'`` is the STGT release's re-ranking score; ``'itm'`` Singularity's.

    Args:
        similarity: Cosine, not divided by the temperature, any shape (...).
        logits: Matching logits (no match, match), shape (..., 2).
        fusion: One of ``SCORE_FUSIONS``.
        temperature: Divisor of the contrastive loss, > 0; used by ``'calibrated'``.
        weight: Factor on the margin; used by ``'calibrated'``.

    Returns:
        Scores, float64, shape (...).

    Example:
        >>> import torch
        >>> from stgt_mm.functional.fusion import fuse_scores
        >>> fuse_scores(torch.tensor([0.5]), torch.tensor([[0.0, 0.0]]))  # a match is as likely as none
        tensor([1.], dtype=torch.float64)
    """
    check_fusion(fusion)
    similarity = similarity.double()
    margin = logits[..., 1].double() - logits[..., 0].double()
    if fusion == 'itc':
        return similarity
    if fusion == 'itm':
        return torch.sigmoid(margin)
    if fusion == 'itm+itc':
        return torch.sigmoid(margin) + similarity
    return similarity / temperature + weight * margin


def choose_weight(quality: Callable[[float], float], grid: Sequence[float] = WEIGHT_GRID) -> float:
    """Chooses the weight of the calibrated fusion that maximises ``quality``, such as the mean recall.

    Of equally good ones it is the middle one, because a plateau is left last from its middle.
    """
    values = [quality(weight) for weight in grid]
    best = [weight for weight, value in zip(grid, values) if value == max(values)]
    return best[len(best) // 2]
