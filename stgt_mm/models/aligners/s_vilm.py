"""S-ViLM: two encoders whose contrast is helped by temporal grouping and spatial grounding."""

from typing import Any

from torch import Tensor

from stgt_mm.models.aligners.base import Aligner, VideoFeatures, captions_of
from stgt_mm.models.backbones import GroupedViT
from stgt_mm.models.text_encoder import build_text_encoder
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample


@MODELS.register_module()
class SViLM(Aligner):
    """Aligns video with text by two encoders; group tokens and frames have objectives of their own.

    One query a video, the mean of its tokens, and nothing to re-rank: the retrieval loop needs
    ``rerank_k=0``.

    Args:
        backbone: Config, of ``GroupedViT`` or of any other, whose video tokens are then the regions.
        text_encoder: Config of ``TextEncoder``; ``vocab_size`` of its ``config`` is the tokenizer's when left
            out.
        contrastive_head: Config; ``width`` and ``vision_width`` are those of the encoders when left out.
        data_preprocessor: Config.
        neck: Config; see :class:`VideoEncoder`.
        vision_norm: Arguments of the LayerNorm behind the neck; None for no norm.
        auxiliary_heads: Configs by name, of ``TemporalGroupingHead`` and ``NounGroundingHead``.

    Source: S-ViLM (arXiv 2303.16341).
    """

    matching_head = None

    def __init__(
        self,
        backbone: dict[str, Any],
        text_encoder: dict[str, Any],
        contrastive_head: dict[str, Any],
        data_preprocessor: dict[str, Any],
        neck: dict[str, Any] | None = None,
        vision_norm: dict[str, Any] | None = None,
        auxiliary_heads: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(backbone, data_preprocessor, neck, vision_norm)
        self.text_encoder = build_text_encoder(text_encoder, self.data_preprocessor)
        widths = {'width': self.text_encoder.width, 'vision_width': self.backbone.embed_dims}
        self.contrastive_head = MODELS.build({**widths, **contrastive_head})
        self.build_auxiliary_heads(auxiliary_heads)

    def encode_video(self, inputs: dict[str, Tensor]) -> VideoFeatures:
        """Encodes V videos, given as for ``extract_tokens``: one query each, (V, 1, P), tokens (V, M, C)."""
        tokens = self.extract_tokens(inputs)
        return VideoFeatures(self._project(tokens), tokens)

    def _project(self, tokens: Tensor) -> Tensor:
        return self.contrastive_head.project_queries(tokens.mean(dim=1, keepdim=True))

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encodes captions, ids and mask (K, L), as L2-normalised embeddings (K, P)."""
        return self.contrastive_head.project_text(self.text_encoder(ids, mask))

    def encode_phrases(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encodes prompts of noun phrases, ids and mask (R, L), as states (R, D)."""
        return self.text_encoder(ids, mask)[:, 0]

    def loss(self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample]) -> dict[str, Tensor]:
        """Computes the contrast on a batch of pairs, and what the auxiliary heads add.

        Args:
            inputs: ``video`` or ``tokens``, ``text_ids`` (B, L) and ``text_mask`` (B, L), and what the heads
                read.
            data_samples: B samples with ``video_id`` and ``text``.

        Returns:
            ``loss_vtc`` and/or ``loss_csal``, the losses of the heads, and diagnostics.

        Raises:
            ValueError: If a sample has no caption.
        """
        ids, mask = captions_of(inputs, data_samples)
        groups = None
        if 'tokens' not in inputs and isinstance(self.backbone, GroupedViT):
            found = self.backbone.encode(inputs['video'])
            inputs, groups = {**inputs, 'tokens': found.tokens}, found.groups
        tokens = self.extract_tokens(inputs)
        contrast = self.contrast(self._project(tokens), self.encode_text(ids, mask), data_samples)
        return (
            contrast.losses | self.auxiliary_losses(inputs, data_samples, tokens, groups) | self.statistics()
        )
