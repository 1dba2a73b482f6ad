"""The two objectives on fused clip and text: matching and generation."""

from torch import Tensor, nn

from stgt_mm.distributed import global_mean
from stgt_mm.functional.generation import generation_loss
from stgt_mm.functional.matching import matching_loss
from stgt_mm.registry import MODELS


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
        """Returns the loss, 0-d; arguments as :func:`matching_batch` returns them.

        It is zero, attached to the graph, when no pair of any rank counts.
        """
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
        """Returns the loss, 0-d; arguments as for :func:`generation_loss`.

        It is zero, attached to the graph, when no rank has a token to predict.
        """
        losses, valid = generation_loss(logits, ids, mask, self.label_smoothing)
        return self.loss_weight * global_mean(losses, valid)
