"""Objectives: they hold no parameters, so DDP sees no switch, and are averaged over the global batch."""

from torch import Tensor, nn

from stgt_mm.distributed import global_mean
from stgt_mm.functional.contrastive import DUPLICATES, contrastive_loss
from stgt_mm.functional.cross_similarity import cross_similarity_loss, cross_similarity_targets
from stgt_mm.functional.generation import generation_loss
from stgt_mm.functional.matching import matching_loss
from stgt_mm.registry import MODELS


@MODELS.register_module()
class VTC(nn.Module):
    """Video-text contrastive loss, averaged over the global batch.

    Args:
        label_smoothing: Share of the target mass spread over the columns, in [0, 1).
        duplicates: What another pair with the same video or the same text is: ``'negative'`` as in the paper,
            ``'share'`` as right as the own pair, ``'mask'`` left out. The paper's asks the model to push
            apart what is the same; on sets with many captions a clip, or few distinct captions, try
            ``'mask'``.
        loss_weight: Factor of the result.

    Raises:
        ValueError: If ``duplicates`` is unknown.

    Source: the contrastive term of STGT Eq. 21; BLIP-2 section 3.1.
    """

    def __init__(
        self, label_smoothing: float = 0.1, duplicates: str = 'negative', loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if duplicates not in DUPLICATES:
            raise ValueError(f'duplicates must be one of {DUPLICATES}, got {duplicates!r}.')
        self.label_smoothing = label_smoothing
        self.duplicates = duplicates
        self.loss_weight = loss_weight

    def forward(self, logits_v2t: Tensor, logits_t2v: Tensor, positives: Tensor, related: Tensor) -> Tensor:
        """Returns the loss, 0-d, whose mean over ranks is the global one; see :func:`contrastive_loss`."""
        losses = contrastive_loss(
            logits_v2t, logits_t2v, positives, related, self.label_smoothing, self.duplicates
        )
        return self.loss_weight * global_mean(losses)


@MODELS.register_module()
class CSAL(nn.Module):
    """Cross-similarity alignment loss, averaged over the global batch.

    Args:
        gamma: Sharpness of the targets, > 0. On a small batch of similar clips the paper's 5 makes them near
            to uniform (the log shows ``target_diagonal``); then raise it, or ``target_floor``.
        target_floor: Columns whose product of self-similarities is below it get no target, in [0, 1].
        label_smoothing: Share of the target mass spread over the columns, in [0, 1).
        detach_targets: Keep the gradient out of the targets. The release lets it through, so that its loss
            also falls by moving the targets.
        loss_weight: Factor of the result.

    Raises:
        ValueError: If ``gamma`` or ``target_floor`` is out of range.

    Source: STGT Eq. 18-20.
    """

    def __init__(
        self,
        gamma: float = 5.0,
        target_floor: float = 0.05,
        label_smoothing: float = 0.01,
        detach_targets: bool = True,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if gamma <= 0:
            raise ValueError(f'gamma must be positive, got {gamma}.')
        if not 0 <= target_floor <= 1:
            raise ValueError(f'target_floor must lie in [0, 1], got {target_floor}.')
        self.gamma = gamma
        self.target_floor = target_floor
        self.label_smoothing = label_smoothing
        self.detach_targets = detach_targets
        self.loss_weight = loss_weight

    def targets(self, video_similarity: Tensor, text_similarity: Tensor, positives: Tensor) -> Tensor:
        """Returns :func:`cross_similarity_targets`, without gradient unless ``detach_targets`` is off."""
        targets = cross_similarity_targets(
            video_similarity, text_similarity, positives, self.gamma, self.target_floor
        )
        return targets.detach() if self.detach_targets else targets

    def forward(self, logits_v2t: Tensor, logits_t2v: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss, 0-d, whose mean over ranks is the global one; takes :meth:`targets`."""
        losses = cross_similarity_loss(logits_v2t, logits_t2v, targets, self.label_smoothing)
        return self.loss_weight * global_mean(losses)


@MODELS.register_module()
class VTM(nn.Module):
    """Video-text matching loss, averaged over the pairs of all ranks that count.

    Args:
        label_smoothing: Share of the target mass spread over both classes, in [0, 1).
        loss_weight: Factor of the result.

    Source: BLIP-2 section 3.1.
    """

    def __init__(self, label_smoothing: float = 0.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """Returns the loss of :func:`matching_batch`; an attached zero when no pair of any rank counts."""
        return self.loss_weight * global_mean(matching_loss(logits, labels, self.label_smoothing), valid)


@MODELS.register_module()
class VTG(nn.Module):
    """Video-grounded text generation loss, averaged over the tokens of all ranks.

    Args:
        label_smoothing: Share of the target mass spread over the vocabulary, in [0, 1).
        loss_weight: Factor of the result.

    Source: BLIP-2 section 3.1.
    """

    def __init__(self, label_smoothing: float = 0.1, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Returns the mean :func:`generation_loss`; an attached zero when no rank has a token to predict."""
        losses, valid = generation_loss(logits, ids, mask, self.label_smoothing)
        return self.loss_weight * global_mean(losses, valid)
