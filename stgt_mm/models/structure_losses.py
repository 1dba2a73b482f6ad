"""Objectives of S-ViLM beside the contrast, of the same kind as those in ``losses.py``."""

from torch import Tensor, nn

from stgt_mm.distributed import global_mean
from stgt_mm.functional.contrastive import contrastive_loss
from stgt_mm.functional.temporal_grouping import KINDS, has_both_sides, temporal_grouping_loss
from stgt_mm.registry import MODELS


@MODELS.register_module()
class TemporalGroupingLoss(nn.Module):
    """Distance of the foreground probability from the mask, averaged over the blended clips of all ranks.

    Args:
        kind: ``'mse'`` as in the paper, or ``'bce'``.
        loss_weight: Factor of the result.

    Raises:
        ValueError: If ``kind`` is neither.

    Source: S-ViLM (arXiv 2303.16341), temporal grouping.
    """

    def __init__(self, kind: str = 'mse', loss_weight: float = 1.0) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f'kind must be one of {KINDS}, got {kind!r}.')
        self.kind = kind
        self.loss_weight = loss_weight

    def forward(self, probability: Tensor, mask: Tensor) -> Tensor:
        """Takes probabilities and masks (B, T); an attached zero when no rank has a blended clip."""
        losses = temporal_grouping_loss(probability, mask, self.kind)
        return self.loss_weight * global_mean(losses, has_both_sides(mask))


@MODELS.register_module()
class NounGroundingLoss(nn.Module):
    """Contrast of grounding similarities in both directions, over the texts of all ranks with a phrase.

    Args:
        loss_weight: Factor of the result.

    Source: S-ViLM (arXiv 2303.16341), spatial grounding. That related pairs are left out is ours.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self, logits_v2t: Tensor, logits_t2v: Tensor, positives: Tensor, related: Tensor, valid: Tensor
    ) -> Tensor:
        """Takes similarities / temperature (B, G); see :func:`contrastive_loss` for the rest.

        ``related`` (B, G) are left out of a row's softmax, but for its own pair; rows that are not ``valid``
        (B,) do not count, and if none does the loss is an attached zero.
        """
        losses = contrastive_loss(logits_v2t, logits_t2v, positives, related, 0.0, 'mask')
        return self.loss_weight * global_mean(losses, valid)
