"""The interface of necks."""

from torch import Tensor, nn


class BaseNeck(nn.Module):
    """What stands between an image backbone and what reads video."""

    keeps_frames = False  # whether the video tokens of T frames stand frame by frame, as many of each

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps the tokens of the frames [B, T, 1+N, C], CLS first, to video tokens [B, M, C]."""
        raise NotImplementedError(f'{type(self).__name__} has no forward')

    def statistics(self) -> dict[str, Tensor]:
        """Returns what the log shows of the last training forward: 0-d, on the device of the tokens."""
        return {}
