"""The base of models that read video: a frozen image backbone, a neck over time and a norm."""

from typing import Any

from mmengine.model import BaseModel
from torch import Tensor, nn

from stgt_mm.models.data_preprocessor import VideoTextDataPreprocessor
from stgt_mm.models.necks import BaseNeck
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample


class VideoEncoder(BaseModel):
    """Base of models: turns clips into video tokens; a subclass says what is done with them.

    ``backbone -> neck -> vision_norm``. A subclass has ``loss`` and ``predict``, and may give
    ``mode='tensor'`` a meaning of its own by ``encode_video``.

    Args:
        backbone: Config; maps (B, T, 3, H, W) to tokens (B, T, 1 + N, C) and has ``embed_dims``.
        data_preprocessor: Config.
        neck: Config; maps (B, T, 1 + N, C) to (B, M, C). Without one the tokens of all frames stand in a row.
        vision_norm: Arguments of the LayerNorm behind the neck; ``None`` for no norm.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        data_preprocessor: dict[str, Any],
        neck: dict[str, Any] | None = None,
        vision_norm: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=MODELS.build(data_preprocessor))
        self.backbone = MODELS.build(backbone)
        if isinstance(self.data_preprocessor, VideoTextDataPreprocessor):
            self.data_preprocessor.follow(self.backbone)
        self.neck = None if neck is None else MODELS.build(neck)
        width = self.backbone.embed_dims
        self.vision_norm = nn.Identity() if vision_norm is None else nn.LayerNorm(width, **vision_norm)

    def init_weights(self) -> None:
        """Does nothing: every part initialises itself when built, and given weights must survive a Runner."""

    def forward(
        self,
        inputs: dict[str, Tensor],
        data_samples: list[VideoTextSample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Dispatches on ``mode``: ``'loss'``, ``'predict'``, or ``'tensor'`` for ``encode_video``."""
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.encode_video(inputs)
        raise ValueError(f"mode is 'loss', 'predict' or 'tensor', not {mode!r}")

    def pool_frames(self, inputs: dict[str, Tensor]) -> Tensor:
        """Computes the video tokens before ``vision_norm``, of the same inputs as ``extract_tokens``."""
        tokens = inputs['tokens'] if 'tokens' in inputs else self.backbone(inputs['video'])
        return tokens.flatten(1, 2) if self.neck is None else self.neck(tokens)

    def extract_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """Makes video tokens (B, M, C) of ``video`` (B, T, 3, H, W) or cached ``tokens`` (B, T, 1 + N, C)."""
        return self.vision_norm(self.pool_frames(inputs))

    def time_steps(self, inputs: dict[str, Tensor]) -> int:
        """Returns T' of clips: their frames, or the tubelets that the backbone makes of them."""
        if 'tokens' in inputs:
            return inputs['tokens'].shape[1]
        return max(1, inputs['video'].shape[1] // getattr(self.backbone, 'tubelet', 1))

    def frame_features(self, inputs: dict[str, Tensor], tokens: Tensor) -> Tensor | None:
        """Averages video tokens (B, M, C) within each time step: (B, T', C); None if the neck mixes these."""
        if self.neck is not None and not getattr(self.neck, 'keeps_frames', False):
            return None
        return tokens.unflatten(1, (self.time_steps(inputs), -1)).mean(dim=2)

    def encode_video(self, inputs: dict[str, Tensor]) -> Any:
        """Returns what is kept of a video: its tokens (B, M, C), unless a subclass keeps something else."""
        return self.extract_tokens(inputs)

    def predict(
        self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample] | None
    ) -> list[VideoTextSample]:
        """Writes what is found into the B samples, fresh ones for ``None``, and returns them."""
        raise NotImplementedError(f'{type(self).__name__} has no predict')

    def loss(self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample]) -> dict[str, Tensor]:
        """Returns losses, whose keys hold 'loss', and diagnostics; ``statistics`` are among the latter."""
        raise NotImplementedError(f'{type(self).__name__} has no loss')

    def statistics(self) -> dict[str, Tensor]:
        """Returns what the neck reports of the last training forward; a plain module as neck has nothing."""
        return self.neck.statistics() if isinstance(self.neck, BaseNeck) else {}
