"""The interface of necks."""

from torch import Tensor, nn


class BaseNeck(nn.Module):
    """Maps the tokens of the frames, [B, T, 1+N, C] with CLS first, to video tokens, [B, M, C]."""

    def statistics(self) -> dict[str, Tensor]:
        """Returns what the log shows of the last training forward: 0-d, on the device of the tokens."""
        return {}
