"""Video-grounded text generation (VTG): each token of the caption from the video and the tokens before it."""

from torch import Tensor
from torch.nn import functional as F

from stgt_mm.functional.similarity import full_precision


def generation_loss(
    logits: Tensor, ids: Tensor, mask: Tensor, label_smoothing: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Cross entropy of each token with the logits at the position before it.

    Args:
        logits: Decoder output, shape (B, L, vocab); position l predicts token l + 1.
        ids: Token ids, int64, shape (B, L). The first is never a label, so [CLS] or [DEC] makes no
            difference.
        mask: Boolean, shape (B, L); True = a token, False = padding.
        label_smoothing: Share of the target mass spread over the vocabulary, in [0, 1).

    Returns:
        Losses, shape (B, L - 1), zero at padding, and which of them count, boolean (B, L - 1).

    Raises:
        ValueError: If the shapes do not fit.

    Source: BLIP-2 section 3.1 (image-grounded text generation); the smoothing of 0.1 is LAVIS'.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.generation import generation_loss
        >>> ids, mask = torch.tensor([[1, 2, 0]]), torch.tensor([[True, True, False]])
        >>> generation_loss(torch.zeros(1, 3, 4), ids, mask)  # log 4 for the one token that is predicted
        (tensor([[1.3863, 0.0000]]), tensor([[ True, False]]))
    """
    if logits.shape[:2] != ids.shape or mask.shape != ids.shape:
        raise ValueError(
            f'logits (B, L, vocab), ids (B, L) and mask (B, L) do not fit: {tuple(logits.shape)}, '
            f'{tuple(ids.shape)}, {tuple(mask.shape)}.'
        )
    valid = mask[:, 1:].bool()
    losses = F.cross_entropy(
        full_precision(logits[:, :-1]).flatten(0, 1),
        ids[:, 1:].masked_fill(~valid, -100).flatten(),
        reduction='none',
        ignore_index=-100,
        label_smoothing=label_smoothing,
    )
    return losses.view_as(valid), valid
