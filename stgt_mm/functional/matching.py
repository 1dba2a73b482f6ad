"""Video-text matching (VTM): does this text belong to this clip, yes or no."""

import torch
import torch.nn.functional as F
from torch import Tensor


def matching_batch(
    positive: Tensor, negative_text: Tensor, negative_video: Tensor, valid_text: Tensor, valid_video: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Joins logits (B, 2) of true pairs, (own video, other text) and (other video, own text).

    A negative that could not be drawn, by ``valid_*`` (B,), does not count. A positive counts when at least
    one of its negatives does: otherwise a batch without negatives would teach that everything matches.
    Returned are logits (3B, 2), labels (3B,) with 1 = match, and which of them count, boolean (3B,).
    """
    logits = torch.cat([positive, negative_text, negative_video])
    labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    labels[: len(positive)] = 1
    return logits, labels, torch.cat([valid_text | valid_video, valid_text, valid_video])


def matching_loss(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Binary cross entropy of each pair.

    Args:
        logits: Scores for (no match, match), shape (R, 2).
        labels: 1 = match, 0 = no match, int64, shape (R,).
        label_smoothing: Share of the target mass spread over both classes, in [0, 1).

    Returns:
        One value a pair, shape (R,).

    Source: BLIP-2 section 3.1 (image-text matching), without smoothing.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.matching import matching_loss
        >>> matching_loss(torch.tensor([[0.0, 2.0], [0.0, 2.0]]), labels=torch.tensor([1, 0]))
        tensor([0.1269, 2.1269])
    """
    return F.cross_entropy(logits, labels, reduction='none', label_smoothing=label_smoothing)
