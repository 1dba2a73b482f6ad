"""Mean over frames: a neck that cannot know the order of time."""

from torch import Tensor

from stgt_mm.models.necks.base import BaseNeck
from stgt_mm.registry import MODELS


@MODELS.register_module()
class MeanPoolNeck(BaseNeck):
    """Averages every token over the frames. It has no parameters and no temporal embedding.

    Frames are summed in an order that depends on their values only, so that a clip and the same clip played
    backwards give the same bits: what such a model tells apart is a leak of the benchmark.

    Args:
        embed_dims: C, checked against the tokens; None accepts any.
    """

    def __init__(self, embed_dims: int | None = None) -> None:
        super().__init__()
        self.embed_dims = embed_dims

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps [B, T, 1+N, C] to [B, 1+N, C]."""
        if tokens.ndim != 4 or self.embed_dims not in (None, tokens.shape[-1]):
            raise ValueError(
                f'MeanPoolNeck expects tokens [B, T, 1+N, {self.embed_dims or "C"}] but got '
                f'{list(tokens.shape)}.'
            )
        return tokens.sort(dim=1).values.mean(dim=1)
