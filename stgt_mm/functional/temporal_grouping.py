"""Temporal grouping: which frames of a clip with a pasted segment are of the segment."""

import torch
from torch import Tensor
from torch.nn import functional as F

from stgt_mm.functional.similarity import full_precision

KINDS = ('mse', 'bce')
_SMALLEST = 1e-7  # of a probability whose logarithm is taken, in float32


def foreground_probability(frames: Tensor, mask: Tensor, temperature: float = 0.1) -> Tensor:
    """Softmax over the two centres of a clip, foreground and background, of the cosine of each frame.

    A centre is the mean of its frames. A clip without frames on one side has a zero there, and its numbers
    mean nothing: see :func:`has_both_sides`.

    Args:
        frames: Embeddings z of T frames, shape (B, T, C).
        mask: 1 where the frame is of the foreground, shape (B, T).
        temperature: Divisor of the cosines, > 0.

    Returns:
        Probability of the foreground, float32 or wider, shape (B, T).

    Source: S-ViLM (arXiv 2303.16341), temporal grouping. The cosine and the temperature are ours.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.temporal_grouping import foreground_probability
        >>> frames = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]])
        >>> foreground_probability(frames, torch.tensor([[1, 1, 0]]), temperature=1.0)
        tensor([[0.8808, 0.8808, 0.1192]])
    """
    frames = full_precision(frames)
    sides = torch.stack([mask, 1 - mask.to(frames.dtype)], dim=1).to(frames.dtype)  # [B, 2, T]
    centres = (sides @ frames) / sides.sum(dim=-1, keepdim=True).clamp(min=1)
    cosines = F.normalize(frames, dim=-1) @ F.normalize(centres, dim=-1).transpose(1, 2)
    return torch.sigmoid((cosines[..., 0] - cosines[..., 1]) / temperature)


def has_both_sides(mask: Tensor) -> Tensor:
    """Tells which of B clips, by their masks (B, T), have foreground and background: boolean (B,)."""
    return (mask > 0).any(dim=1) & (mask < 1).any(dim=1)


def temporal_grouping_loss(probability: Tensor, mask: Tensor, kind: str = 'mse') -> Tensor:
    """Distance of the probabilities (B, T) from the mask (B, T), averaged over time: shape (B,).

    Args:
        probability: Output of :func:`foreground_probability`.
        mask: 1 where the frame is of the foreground, shape (B, T).
        kind: ``'mse'``, squared error as in the paper, or ``'bce'``, binary cross entropy.

    Returns:
        One value a clip.

    Raises:
        ValueError: If ``kind`` is neither.

    Source: S-ViLM (arXiv 2303.16341), temporal grouping.
    """
    if kind not in KINDS:
        raise ValueError(f'kind must be one of {KINDS}, got {kind!r}.')
    mask = mask.to(probability.dtype)
    if kind == 'mse':
        return (probability - mask).square().mean(dim=1)
    # not F.binary_cross_entropy, which autocast refuses
    own = torch.where(mask > 0, probability, 1 - probability)
    return -own.clamp(min=_SMALLEST).log().mean(dim=1)
