"""The model that aligns video with text: a Q-Former and its heads on top of a video encoder."""

from typing import Any

import torch
from torch import Tensor

from stgt_mm.functional.beam_search import beam_search
from stgt_mm.models.aligners.base import Aligner, VideoFeatures, captions_of
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample


@MODELS.register_module()
class VideoTextAligner(Aligner):
    """Aligns video with text: contrast (VTC or CSAL), matching (VTM) and captioning (VTG) over one Q-Former.

    ``backbone -> neck -> vision_norm -> qformer -> heads``. A head that is ``None`` takes its objective away.
    Source: STGT Sec. 3, Eq. 21; objectives as in BLIP-2.

    Args:
        backbone: Config; see :class:`VideoEncoder`.
        qformer: Config; ``vocab_size`` is the tokenizer's when left out.
        contrastive_head: Config.
        data_preprocessor: Config.
        neck: Config; see :class:`VideoEncoder`.
        vision_norm: Arguments of the LayerNorm behind the neck; ``None`` for no norm.
        matching_head: Config.
        caption_head: Config. Without one the Q-Former loses its language-model head too.
        auxiliary_heads: Configs by name, of ``TemporalGroupingHead`` and ``NounGroundingHead``, which read
            the neck's tokens.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        qformer: dict[str, Any],
        contrastive_head: dict[str, Any],
        data_preprocessor: dict[str, Any],
        neck: dict[str, Any] | None = None,
        vision_norm: dict[str, Any] | None = None,
        matching_head: dict[str, Any] | None = None,
        caption_head: dict[str, Any] | None = None,
        auxiliary_heads: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(backbone, data_preprocessor, neck, vision_norm)
        if qformer.get('vocab_size') is None:
            qformer = {**qformer, 'vocab_size': self.data_preprocessor.tokenizer.vocab_size}
        self.qformer = MODELS.build(qformer)
        self.contrastive_head = MODELS.build(contrastive_head)
        self.matching_head = None if matching_head is None else MODELS.build(matching_head)
        self.caption_head = None if caption_head is None else MODELS.build(caption_head)
        if self.caption_head is None:
            self.qformer.causal_head = None  # DDP would wait for its gradients
        self.build_auxiliary_heads(auxiliary_heads)

    def encode_video(self, inputs: dict[str, Tensor]) -> VideoFeatures:
        """Encodes V videos, given as for ``extract_tokens``, for retrieval."""
        tokens = self.extract_tokens(inputs)
        queries, _ = self.qformer.encode_video(self.qformer.project_video(tokens))
        return VideoFeatures(self.contrastive_head.project_queries(queries), tokens)

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encodes captions, ids and mask (K, L), as L2-normalised embeddings (K, P)."""
        return self.contrastive_head.project_text(self.qformer.encode_text(ids, mask))

    def encode_phrases(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encodes prompts of noun phrases, ids and mask (R, L), as states (R, D)."""
        return self.qformer.encode_text(ids, mask)[:, 0]

    @torch.no_grad()
    def caption(
        self,
        inputs: dict[str, Tensor],
        num_beams: int = 5,
        min_length: int = 1,
        max_length: int = 30,
        length_penalty: float = 1.0,
    ) -> list[tuple[str, float]]:
        """Captions B videos with the Q-Former's own decoder, which VTG trains.

        Args:
            inputs: ``video`` or ``tokens``, as the data preprocessor makes them.
            num_beams: Beams; 1 is greedy.
            min_length: Fewest tokens of a caption.
            max_length: Most tokens with ``[SEP]``; those that no training text had are unknown ground.
            length_penalty: Power of the length that a log-likelihood is divided by.

        Returns:
            Caption and score of each video, see :func:`~stgt_mm.functional.beam_search.beam_search`.

        Raises:
            ValueError: If the aligner has no decoder, or an option an impossible value.

        Source: BLIP-2 section 3.1, whose first stage captions like this.
        """
        if self.caption_head is None:
            raise ValueError('this aligner has no caption_head, so no decoder: train one with it to caption.')
        longest = self.qformer.embeddings.positions.num_embeddings
        if max_length > longest:
            raise ValueError(f'max_length={max_length}: the Q-Former has positions for {longest}. Lower it.')
        _, cache = self.qformer.encode_video(self.qformer.project_video(self.extract_tokens(inputs)))
        tokenizer, keys = self.data_preprocessor.tokenizer, cache[0][0]
        first = torch.full(keys.shape[:1], tokenizer.dec_id, device=keys.device)
        options = (num_beams, min_length, max_length, length_penalty)
        ids, scores = beam_search(
            self.qformer.decode_next, self.qformer.select_videos, cache, first, tokenizer.sep_id, *options
        )
        return list(zip(tokenizer.decode(ids), scores.tolist()))

    def loss(self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample]) -> dict[str, Tensor]:
        """Computes the objectives of Eq. 21 on a batch of pairs.

        Args:
            inputs: ``video`` or ``tokens``, ``text_ids`` (B, L) and ``text_mask`` (B, L); optionally
                ``negative_noise`` (2, B, G), uniform in [0, 1), instead of drawn numbers.
            data_samples: B samples with ``video_id`` and ``text``.

        Returns:
            ``loss_vtc`` and/or ``loss_csal``, ``loss_vtm``, ``loss_vtg``, and diagnostics.

        Raises:
            ValueError: If a sample has no caption.
        """
        ids, mask = captions_of(inputs, data_samples)
        tokens = self.extract_tokens(inputs)
        keys_values = self.qformer.project_video(tokens)  # once: all passes read them
        queries, cache = self.qformer.encode_video(keys_values)
        projected = self.contrastive_head.project_queries(queries)
        contrast = self.contrast(projected, self.encode_text(ids, mask), data_samples)
        losses = dict(contrast.losses)
        if self.matching_head is not None:
            noise = inputs.get('negative_noise')
            pad_id = self.data_preprocessor.tokenizer.pad_id
            losses |= self.matching_head.loss(
                self.qformer, tokens, keys_values, ids, mask, pad_id, contrast, noise
            )
        if self.caption_head is not None:
            decoder_ids = ids.clone()
            decoder_ids[:, 0] = self.data_preprocessor.tokenizer.dec_id  # in place of [CLS]
            losses |= self.caption_head.loss(self.qformer.decode(cache, decoder_ids, mask), ids, mask)
        return losses | self.auxiliary_losses(inputs, data_samples, tokens) | self.statistics()
