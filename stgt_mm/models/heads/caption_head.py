"""The objective that trains the Q-Former's decoder to say what is in the clip."""

from typing import Any

from torch import Tensor, nn

from stgt_mm.registry import MODELS


@MODELS.register_module()
class CaptionHead(nn.Module):
    """Generation objective over the token logits of the Q-Former's decoder; holds no parameters.

    Args:
        loss: Config of the generation loss, None for ``dict(type='VTG')``.
    """

    def __init__(self, loss: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.vtg = MODELS.build(loss or {'type': 'VTG'})

    def loss(self, logits: Tensor, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Returns ``loss_vtg`` of token logits (B, L, vocab), token ids (B, L) and their mask (B, L)."""
        return {'loss_vtg': self.vtg(logits, ids, mask)}
