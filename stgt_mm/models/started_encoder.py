"""Video encoders that start from a trained model: its weights by a file, some of its parts frozen."""

from collections.abc import Sequence

from torch import nn

from stgt_mm.io.state import compare
from stgt_mm.io.weight_files import read_state
from stgt_mm.models.backbones.weights import resolve_weights
from stgt_mm.models.video_encoder import VideoEncoder
from stgt_mm.utils import did_you_mean


class StartedEncoder(VideoEncoder):
    """Base of models on top of an aligner; a subclass builds its parts and then calls ``start``.

    Attributes:
        parts: What ``trainable`` may name; those that it does not name are frozen, in eval mode.
        also_taken: What a file gives weights for besides; whether these train, they know themselves.
    """

    parts: tuple[str, ...] = ('neck', 'vision_norm')
    also_taken: tuple[str, ...] = ('backbone',)

    @classmethod
    def check_trainable(cls, trainable: Sequence[str]) -> None:
        """Raises a ValueError for a part that there is not, before anything is built."""
        for part in set(trainable) - set(cls.parts):
            raise ValueError(f"trainable: there is no part '{part}'. {did_you_mean(part, cls.parts)}")

    def start(self, trainable: Sequence[str], checkpoint: str | None) -> None:
        """Freezes the parts that are not trainable, and loads what a file has of all; None loads nothing."""
        parts = {part: getattr(self, part) for part in self.parts if part not in trainable}
        self._fixed = {part: module for part, module in parts.items() if module is not None}
        for module in self._fixed.values():
            module.requires_grad_(False)
        if checkpoint:
            self._start_from(checkpoint)
        self.train(self.training)

    def _start_from(self, checkpoint: str) -> None:
        """Loads the parts that a file has; the file of a frozen part is told to checkpoints."""
        state, own = read_state(resolve_weights(checkpoint)), self.state_dict()
        there = {key.split('.')[0] for key in state} & {key.split('.')[0] for key in own}
        loaded = there & {*self.parts, *self.also_taken}
        wanted = {key: value for key, value in own.items() if key.split('.')[0] in loaded}
        chosen = {key: state[key] for key in wanted if key in state}
        lines = compare(chosen, wanted, 'file').lines('file')
        lines += [
            f'nothing of {part}, which is frozen; add it to trainable to train it from its start'
            for part in self._fixed
            if part not in loaded and any(key.startswith(f'{part}.') for key in own)
        ]
        if lines or not loaded:
            named = ', '.join((*self.parts, *self.also_taken))
            raise ValueError(
                '\n  '.join([f"checkpoint='{checkpoint}' does not fit:", *(lines or ['nothing of any part'])])
                + f'\nGive the weights of a model whose parts are built alike ({named}).'
            )
        self.load_state_dict(chosen, strict=False)
        for part in loaded:
            module = getattr(self, part)
            if not any(parameter.requires_grad for parameter in module.parameters()):
                module.frozen, module.checkpoint = True, checkpoint

    def train(self, mode: bool = True) -> nn.Module:
        """Sets the training mode; what is frozen stays in eval mode."""
        super().train(mode)
        for module in self._fixed.values():
            module.eval()
        return self
