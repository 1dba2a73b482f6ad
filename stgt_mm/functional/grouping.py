"""Assignment of tokens to groups: softly, or hard with a straight-through gradient."""

import torch
from torch import Tensor
from torch.nn import functional as F

ASSIGNMENTS = ('kmeans', 'gumbel', 'soft')


def assign_to_groups(logits: Tensor, assign: str = 'kmeans', training: bool = False) -> Tensor:
    """Assigns L tokens to M groups; the shares of a token sum to one over the groups.

    Args:
        logits: How well token l fits group m, shape (B, M, L).
        assign: ``'soft'``: softmax over the groups. ``'kmeans'``: the best group has all of the token, and
            the gradient is that of the softmax (straight-through). ``'gumbel'``: likewise, of logits with
            Gumbel noise in training.
        training: Whether ``'gumbel'`` draws noise.

    Returns:
        Shares, shape (B, M, L).

    Raises:
        ValueError: If ``assign`` is none of the three.

    Source: the grouping block of GroupViT (arXiv 2202.11094) for ``'gumbel'``, k-means cross-attention of
        kMaX-DeepLab (arXiv 2207.04044) for ``'kmeans'``, which S-ViLM (arXiv 2303.16341) names.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.grouping import assign_to_groups
        >>> assign_to_groups(torch.tensor([[[1.0, 0.0], [0.0, 3.0]]]))  # the first token to the first group
        tensor([[[1., 0.],
                 [0., 1.]]])
    """
    if assign not in ASSIGNMENTS:
        raise ValueError(f'assign must be one of {ASSIGNMENTS}, got {assign!r}.')
    if assign == 'gumbel' and training:
        return F.gumbel_softmax(logits, hard=True, dim=1)
    soft = logits.softmax(dim=1)
    if assign == 'soft':
        return soft
    hard = torch.zeros_like(soft).scatter_(1, soft.argmax(dim=1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())


def mean_of_groups(assignment: Tensor, values: Tensor, smoothing: float = 1.0) -> Tensor:
    """Averages what tokens carry within each group.

    ``assignment`` (B, M, L) is from :func:`assign_to_groups`, ``values`` are (B, L, C); the means (B, M, C)
    are of sum / (size + smoothing), so that a group without tokens gives zero.

    Source: GroupViT's code, whose smoothing is 1.
    """
    size = assignment.sum(dim=-1, keepdim=True)
    return (assignment @ values) / (size + smoothing)
