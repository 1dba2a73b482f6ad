"""A public dual encoder as an aligner: embeddings of frames, averaged, against embeddings of texts."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from stgt_mm.functional.similarity import full_precision
from stgt_mm.models.aligners.base import Aligner, VideoFeatures, captions_of
from stgt_mm.models.towers import Towers
from stgt_mm.registry import MODELS, TOKENIZERS
from stgt_mm.structures import VideoTextSample


class SequenceTransformer(nn.Module):
    """CLIP4Clip's seqTransf: blocks over the embeddings of frames, added to them.

    Source: CLIP4Clip (arXiv 2104.08860), section 3.3; blocks and position embeddings start as copies of the
        text side's first.

    Args:
        blocks: Map states (B, T, P) to states.
        positions: Embeddings (L, P), T at most L.
    """

    def __init__(self, blocks: nn.ModuleList, positions: Tensor) -> None:
        super().__init__()
        self.blocks = blocks
        self.positions = nn.Parameter(positions)
        self.requires_grad_(True)

    def forward(self, frames: Tensor) -> Tensor:
        """Maps embeddings of frames (B, T, P) to embeddings that know of each other."""
        if frames.shape[1] > len(self.positions):
            raise ValueError(
                f'a clip has {frames.shape[1]} frames, seqTransf {len(self.positions)} positions.'
            )
        states = frames + self.positions[: frames.shape[1]]
        for block in self.blocks:
            states = block(states, None)
        return frames + states


@MODELS.register_module()
class DualEncoder(Aligner):
    """Aligns video with text by a public pair of encoders, whose frames are averaged (CLIP4Clip's meanP).

    One query a video, no tokens to re-rank: it has no matching head, and the retrieval loop needs
    ``rerank_k=0``. A model with a video side of its own gives its one embedding of the clip.

    Args:
        backbone: Config of ``TransformersTowers`` or ``OpenCLIPTowers``. Where its ``config.text_config`` has
            ``vocab_size=None``, that and the ids of special tokens are the tokenizer's.
        data_preprocessor: Config; mean and standard deviation are the weights' when left out.
        neck: Config of one over the embeddings of frames, (B, T, 1, P); None for none, as published.
        vision_norm: Arguments of the LayerNorm behind the neck; None for none, as published.
        contrastive_head: Config, with ``width=None``; its temperature is the weights' when left out.
        temporal_layers: Blocks of CLIP4Clip's seqTransf between frames and average; 0 is meanP.

    Raises:
        ValueError: If the backbone has no text side.

    Source: CLIP4Clip (arXiv 2104.08860).
    """

    matching_head = None

    def __init__(
        self,
        backbone: dict[str, Any],
        data_preprocessor: dict[str, Any],
        neck: dict[str, Any] | None = None,
        vision_norm: dict[str, Any] | None = None,
        contrastive_head: dict[str, Any] | None = None,
        temporal_layers: int = 0,
    ) -> None:
        backbone = with_vocabulary(backbone, data_preprocessor['tokenizer'])
        super().__init__(backbone, data_preprocessor, neck, vision_norm)
        if not isinstance(self.backbone, Towers):
            raise ValueError(
                f'DualEncoder needs a backbone with a text side, not {type(self.backbone).__name__}.'
            )
        head = {'type': 'ContrastiveHead', 'width': None, **(contrastive_head or {})}
        if self.backbone.pretrained and self.backbone.temperature is not None:
            head.setdefault('temperature', self.backbone.temperature)
        self.contrastive_head = MODELS.build(head)
        self.temporal = None
        if temporal_layers:
            self.temporal = SequenceTransformer(*self.backbone.text_blocks(temporal_layers))

    @property
    def is_complete(self) -> bool:
        """Whether the weights are whole without a checkpoint, as those of a published pair with meanP."""
        beside = {name for name, _ in self.named_parameters() if not name.startswith('backbone.')}
        return self.backbone.pretrained is not None and beside == {'contrastive_head.temp'}

    def encode_video(self, inputs: dict[str, Tensor]) -> VideoFeatures:
        """Encodes V videos, given as for ``extract_tokens``: one query each, (V, 1, P), tokens (V, T, P)."""
        frames = self.extract_tokens(inputs)
        if self.temporal is not None:
            frames = self.temporal(frames)
        frames = F.normalize(full_precision(frames), dim=-1)
        return VideoFeatures(self.contrastive_head.project_queries(frames.mean(dim=1, keepdim=True)), frames)

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encodes captions, ids and mask (K, L), as L2-normalised embeddings (K, P)."""
        return self.contrastive_head.project_text(self.backbone.encode_text(ids, mask))

    def loss(self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample]) -> dict[str, Tensor]:
        """Computes the contrastive losses on a batch of pairs, ``loss_vtc`` and/or ``loss_csal``.

        Args:
            inputs: ``video`` or ``tokens``, ``text_ids`` (B, L) and ``text_mask`` (B, L).
            data_samples: B samples with ``video_id`` and ``text``.

        Returns:
            The losses and diagnostics.

        Raises:
            ValueError: If a sample has no caption.
        """
        texts = self.encode_text(*captions_of(inputs, data_samples))
        contrast = self.contrast(self.encode_video(inputs).queries, texts, data_samples)
        return contrast.losses | self.statistics()


def with_vocabulary(backbone: dict[str, Any], tokenizer: dict[str, Any]) -> dict[str, Any]:
    """Gives the config of towers with random weights the size and special tokens of their tokenizer."""
    text = (backbone.get('config') or {}).get('text_config') or {}
    if backbone.get('pretrained') or text.get('vocab_size', 0) is not None:
        return backbone
    own = TOKENIZERS.build(tokenizer)
    ids = {'vocab_size': own.vocab_size, 'pad_token_id': own.pad_id, 'bos_token_id': own.cls_id}
    text = {**text, **ids, 'eos_token_id': own.sep_id}
    return {**backbone, 'config': {**backbone['config'], 'text_config': text}}
