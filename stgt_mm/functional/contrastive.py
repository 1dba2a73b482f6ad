"""Video-text contrastive objective (VTC): local rows against the columns of the global batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

DUPLICATES = ('negative', 'share', 'mask')


def related_pairs(video_ids: Tensor, text_ids: Tensor, all_video_ids: Tensor, all_text_ids: Tensor) -> Tensor:
    """Marks the pairs that are no negatives of each other: same video or same text, a row's own among them.

    From int64 ids of the local pairs (B,) and of the global batch (G,) it makes a boolean (B, G).
    """
    same_video = video_ids.unsqueeze(1) == all_video_ids.unsqueeze(0)
    same_text = text_ids.unsqueeze(1) == all_text_ids.unsqueeze(0)
    return same_video | same_text


def smooth_targets(targets: Tensor, label_smoothing: float, excluded: Tensor | None = None) -> Tensor:
    """Moves a share of the mass of row-stochastic targets (B, G) to a uniform one over the allowed columns.

    ``excluded``, boolean (B, G), is True where a column is not part of the row's softmax.
    """
    allowed = torch.ones_like(targets) if excluded is None else (~excluded).to(targets.dtype)
    uniform = allowed / allowed.sum(dim=1, keepdim=True)
    return targets * (1 - label_smoothing) + uniform * label_smoothing


def soft_cross_entropy(logits: Tensor, targets: Tensor, excluded: Tensor | None = None) -> Tensor:
    """Cross entropy (B,) of logits (B, G) with row-stochastic targets (B, G), zero where ``excluded``.

    ``excluded``, boolean (B, G), takes columns out of a row's softmax; every row must keep one.
    """
    if excluded is None:
        return -(targets * F.log_softmax(logits, dim=1)).sum(dim=1)
    log_probs = F.log_softmax(logits.masked_fill(excluded, -torch.inf), dim=1)
    return -(targets * log_probs.masked_fill(excluded, 0.0)).sum(dim=1)


def contrastive_targets(
    positives: Tensor, related: Tensor, duplicates: str, dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """Targets of the contrastive objective and the columns it leaves out.

    Args:
        positives: Column of each row's own pair, int64, shape (B,).
        related: Output of :func:`related_pairs`, shape (B, G).
        duplicates: What another pair of the same video or text is.
            ``'negative'``: a negative like any other, as in STGT and BLIP-2 pre-training.
            ``'share'``: as right as the row's own pair; they share the target mass evenly (BLIP-2
                fine-tuning).
            ``'mask'``: neither; it is left out of the row's softmax.
        dtype: Of the targets.

    Returns:
        Row-stochastic targets, shape (B, G), and the excluded columns, boolean (B, G), None without any.

    Raises:
        ValueError: If ``duplicates`` is none of the three.
    """
    if duplicates not in DUPLICATES:
        raise ValueError(f'duplicates must be one of {DUPLICATES}, got {duplicates!r}.')
    own = F.one_hot(positives, related.size(1)).to(torch.bool)
    if duplicates == 'share':
        shared = (related | own).to(dtype)
        return shared / shared.sum(dim=1, keepdim=True), None
    return own.to(dtype), related & ~own if duplicates == 'mask' else None


def contrastive_loss(
    logits_v2t: Tensor,
    logits_t2v: Tensor,
    positives: Tensor,
    related: Tensor,
    label_smoothing: float = 0.1,
    duplicates: str = 'negative',
) -> Tensor:
    """VTC of each local pair: cross entropy of video to text and of text to video, averaged.

    Args:
        logits_v2t: Cosines / temperature of the local videos with all texts, shape (B, G).
        logits_t2v: Cosines / temperature of the local texts with all videos, shape (B, G).
        positives: Column of each row's own pair, int64, shape (B,).
        related: Output of :func:`related_pairs`, shape (B, G).
        label_smoothing: Share of the target mass spread over the columns, in [0, 1).
        duplicates: See :func:`contrastive_targets`.

    Returns:
        One value a pair, shape (B,): the caller averages, because only it knows the size of the global batch.

    Source: the contrastive term of STGT Eq. 21, with the label smoothing of 0.1 of BLIP-2.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.contrastive import contrastive_loss, related_pairs
        >>> ids = torch.arange(2)
        >>> logits = torch.zeros(2, 2)  # nothing is told apart: the loss is log 2
        >>> contrastive_loss(logits, logits, ids, related_pairs(ids, ids, ids, ids))
        tensor([0.6931, 0.6931])
    """
    targets, excluded = contrastive_targets(positives, related, duplicates, logits_v2t.dtype)
    targets = smooth_targets(targets, label_smoothing, excluded)
    v2t = soft_cross_entropy(logits_v2t, targets, excluded)
    t2v = soft_cross_entropy(logits_t2v, targets, excluded)
    return (v2t + t2v) / 2
