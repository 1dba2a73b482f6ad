"""The base of the two towers of a public model: which of them train, and the sizes they want."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from stgt_mm.io.pretrained import FramePreparation, read_preparation
from stgt_mm.utils import did_you_mean

SIDES = ('video', 'text')


class Towers(nn.Module):
    """Base of models that read frames on one side and texts on the other; stands as ``backbone``.

    A subclass builds its model, calls :meth:`finish`, and has ``encode_text`` and ``forward``. Weights are
    those of ``pretrained``, else random.

    Args:
        pretrained: Folder or Hugging Face name of the weights; None starts at random.
        trainable: Sides that train, of 'video' and 'text'; the others are frozen.
        library: What reads the files.

    Attributes:
        embed_dims: Width P of both sides.
        img_size: (height, width) of frames, None for any.
        num_frames: Frames of a clip, None for any.
        mean: Mean a channel in [0, 255], as the weights want frames; None with random weights.
        std: Standard deviation.
        temperature: Divisor of cosines that the weights come with, None without.

    Raises:
        ValueError: If a side is unknown, or the weights cannot be had.
    """

    embed_dims: int
    img_size: tuple[int, int] | None = None
    num_frames: int | None = None
    temperature: float | None = None

    def __init__(self, pretrained: str | None, trainable: Sequence[str], library: str) -> None:
        super().__init__()
        for side in set(trainable) - set(SIDES):
            raise ValueError(f"trainable: there is no side '{side}'. {did_you_mean(str(side), SIDES)}")
        self.trainable = tuple(trainable)
        self.pretrained = pretrained or None
        prepared: FramePreparation | None = read_preparation(pretrained, library) if pretrained else None
        self.mean = prepared and prepared.mean
        self.std = prepared and prepared.std

    def finish(self, is_text: Callable[[str], bool]) -> None:
        """Freezes the sides that do not train; ``is_text`` tells it by the name of a parameter."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(('text' if is_text(name) else 'video') in self.trainable)
        for part in self.modules() if self.pretrained else ():
            # checkpoints name the folder of what does not train, and do not save it
            if not any(parameter.requires_grad for parameter in part.parameters()):
                part.frozen, part.checkpoint = True, self.pretrained
        self.train(self.training)

    def init_weights(self) -> None:
        """Does nothing: mmengine calls this on every child, and some libraries draw all weights again."""

    def train(self, mode: bool = True) -> 'Towers':
        """Sets the training mode; what is frozen stays in eval mode."""
        super().train(mode)
        for part in self.modules() if mode else ():
            own = [parameter.requires_grad for parameter in part.parameters()]
            if own and not any(own):
                part.eval()
        return self

    def check_clips(self, video: Tensor) -> None:
        """Raises a ValueError if clips (B, T, 3, H, W) are not of the size of the weights."""
        size, frames = tuple(video.shape[-2:]), video.shape[1]
        if self.img_size not in (None, size) or self.num_frames not in (None, frames):
            wanted = [self.num_frames or 'T', 3, *(self.img_size or ('H', 'W'))]
            raise ValueError(
                f'{type(self).__name__} (pretrained={self.pretrained!r}) reads clips of {wanted}, not '
                f'{list(video.shape[1:])}: load num_frames as the weights want them, and let '
                'PretrainedResize with the same pretrained choose the size.'
            )

    def text_blocks(self, count: int) -> tuple[nn.ModuleList, Tensor]:
        """Copies the first blocks of the text side and its position embeddings (L, P), for seqTransf."""
        raise ValueError(f'temporal_layers={count}: {type(self).__name__} has no text blocks of width P.')

    def extra_repr(self) -> str:
        """Returns what the embeddings depend on beside the weights."""
        return f'mean={self.mean}, std={self.std}'
