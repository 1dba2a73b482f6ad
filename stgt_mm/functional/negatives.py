"""Negatives for matching, drawn from the global batch without a loop and without waiting for the device."""

import torch
from torch import Tensor


def negative_probabilities(similarity: Tensor, forbidden: Tensor, hard_fraction: float) -> Tensor:
    """Probability with which each column is drawn as the negative of each row.

    ``hard_fraction * softmax(similarity) + (1 - hard_fraction) * uniform``, both over the allowed columns, of
    the arguments of :func:`sample_negatives`; (B, G), and all zero in a row without an allowed column.

    Source: BLIP-2 section 3.1 (hard negatives by similarity), which is ``hard_fraction = 1``.
    """
    allowed = (~forbidden).to(similarity.dtype)
    # a finite floor instead of -inf: a row that forbids everything stays finite, then is zeroed
    masked = similarity.masked_fill(forbidden, torch.finfo(similarity.dtype).min)
    hard = masked.softmax(dim=1) * allowed
    even = allowed / allowed.sum(dim=1, keepdim=True).clamp(min=1)
    return hard_fraction * hard + (1 - hard_fraction) * even


def sample_negatives(
    similarity: Tensor, forbidden: Tensor, noise: Tensor, hard_fraction: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Draws one negative column for each row, by the Gumbel-max trick.

    Args:
        similarity: Cosines / temperature, shape (B, G).
        forbidden: Boolean, shape (B, G); True = never a negative of this row.
        noise: Uniform numbers in [0, 1), shape (B, G): all the randomness there is.
        hard_fraction: Share drawn by similarity, in [0, 1]; the rest is drawn evenly.

    Returns:
        Columns, int64, shape (B,), and which rows have a negative, boolean (B,). A row that forbids every
        column gets column 0 and False: the caller leaves it out.

    Raises:
        ValueError: If ``hard_fraction`` is outside [0, 1] or the shapes differ.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.negatives import sample_negatives
        >>> similarity = torch.tensor([[9.0, 0.0, 5.0], [0.0, 9.0, 0.0]])
        >>> forbidden = torch.tensor([[True, False, False], [True, True, True]])
        >>> sample_negatives(similarity, forbidden, noise=torch.full((2, 3), 0.5))
        (tensor([2, 0]), tensor([ True, False]))
    """
    if not 0 <= hard_fraction <= 1:
        raise ValueError(f'hard_fraction must lie in [0, 1], got {hard_fraction}.')
    if not similarity.shape == forbidden.shape == noise.shape:
        raise ValueError(
            f'similarity, forbidden and noise must have one shape (B, G), got {tuple(similarity.shape)}, '
            f'{tuple(forbidden.shape)}, {tuple(noise.shape)}.'
        )
    with torch.no_grad():
        probabilities = negative_probabilities(similarity, forbidden, hard_fraction)
        limits = torch.finfo(noise.dtype)
        gumbel = -torch.log(-torch.log(noise.clamp(limits.tiny, 1 - limits.eps)))
        # log(0) = -inf: a forbidden column loses against any allowed one, whatever the noise
        columns = (probabilities.log() + gumbel).argmax(dim=1)
        return columns, ~forbidden.all(dim=1)
