"""The model: a frozen image backbone, a neck over time, a Q-Former, and heads that align video with text."""

from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from stgt_mm.distributed import all_gather_with_grad, gather_padded
from stgt_mm.models.heads import Contrast
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample


class VideoFeatures(NamedTuple):
    """What is kept of a video for retrieval.

    Attributes:
        queries: L2-normalised query embeddings, shape (V, Q, P).
        tokens: Video tokens after ``vision_norm``, shape (V, M, C); re-ranking reads them.
    """

    queries: Tensor
    tokens: Tensor


@MODELS.register_module()
class VideoTextAligner(BaseModel):
    """Aligns video with text: contrast (VTC or CSAL), matching (VTM) and captioning (VTG) over one Q-Former.

    ``backbone -> neck -> vision_norm -> qformer -> heads``. A head that is ``None`` takes its objective away.
    Source: STGT Sec. 3, Eq. 21; objectives as in BLIP-2.

    Args:
        backbone: Config; maps (B, T, 3, H, W) to tokens (B, T, 1 + N, C) and has ``embed_dims``.
        qformer: Config; ``vocab_size`` is the tokenizer's when left out.
        contrastive_head: Config.
        data_preprocessor: Config.
        neck: Config; maps (B, T, 1 + N, C) to (B, M, C). Without one the tokens of all frames stand in a row.
        vision_norm: Arguments of the LayerNorm behind the neck; ``None`` for no norm.
        matching_head: Config.
        caption_head: Config. Without one the Q-Former loses its language-model head too.
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
    ) -> None:
        super().__init__(data_preprocessor=MODELS.build(data_preprocessor))
        self.backbone = MODELS.build(backbone)
        self.neck = None if neck is None else MODELS.build(neck)
        width = self.backbone.embed_dims
        self.vision_norm = nn.Identity() if vision_norm is None else nn.LayerNorm(width, **vision_norm)
        if qformer.get('vocab_size') is None:
            qformer = {**qformer, 'vocab_size': self.data_preprocessor.tokenizer.vocab_size}
        self.qformer = MODELS.build(qformer)
        self.contrastive_head = MODELS.build(contrastive_head)
        self.matching_head = None if matching_head is None else MODELS.build(matching_head)
        self.caption_head = None if caption_head is None else MODELS.build(caption_head)
        if self.caption_head is None:
            self.qformer.causal_head = None  # DDP would wait for its gradients

    def init_weights(self) -> None:
        """Does nothing: every part initialises itself when built, and given weights must survive a Runner."""

    def forward(
        self,
        inputs: dict[str, Tensor],
        data_samples: list[VideoTextSample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Dispatches on ``mode``.

        Args:
            inputs: What :class:`VideoTextDataPreprocessor` makes.
            data_samples: B samples.
            mode: ``'loss'``, ``'predict'`` or ``'tensor'``.

        Returns:
            ``'loss'``: dict of losses and diagnostics; ``'predict'``: the samples with ``embedding`` (Q, P),
            and ``similarity`` to their own caption if they have one; ``'tensor'``: :class:`VideoFeatures`.

        Raises:
            ValueError: If ``mode`` is none of the three.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.encode_video(inputs)
        raise ValueError(f"mode is 'loss', 'predict' or 'tensor', not {mode!r}")

    def extract_tokens(self, inputs: dict[str, Tensor]) -> Tensor:
        """Computes the video tokens that the Q-Former reads.

        Args:
            inputs: ``video`` (B, T, 3, H, W) or cached backbone ``tokens`` (B, T, 1 + N, C).

        Returns:
            Video tokens, shape (B, M, C).
        """
        tokens = inputs['tokens'] if 'tokens' in inputs else self.backbone(inputs['video'])
        tokens = tokens.flatten(1, 2) if self.neck is None else self.neck(tokens)
        return self.vision_norm(tokens)

    def encode_video(self, inputs: dict[str, Tensor]) -> VideoFeatures:
        """Encodes videos for retrieval.

        Args:
            inputs: ``video`` (V, T, 3, H, W) or cached backbone ``tokens`` (V, T, 1 + N, C).

        Returns:
            Query embeddings (V, Q, P) and video tokens (V, M, C).
        """
        tokens = self.extract_tokens(inputs)
        queries, _ = self.qformer.encode_video(self.qformer.project_video(tokens))
        return VideoFeatures(self.contrastive_head.project_queries(queries), tokens)

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encodes captions for retrieval.

        Args:
            ids: Token ids, shape (K, L).
            mask: True at tokens, shape (K, L).

        Returns:
            L2-normalised embeddings, shape (K, P).
        """
        return self.contrastive_head.project_text(self.qformer.encode_text(ids, mask))

    def similarity(self, queries: Tensor, texts: Tensor) -> Tensor:
        """Scores every video against every caption: the best of a video's queries.

        Args:
            queries: L2-normalised, shape (V, Q, P).
            texts: L2-normalised, shape (K, P).

        Returns:
            Cosine similarity in [-1, 1], not divided by the temperature, shape (V, K).
        """
        return self.contrastive_head.similarity(queries, texts)

    def predict(
        self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample] | None
    ) -> list[VideoTextSample]:
        """Writes embeddings, and the similarity to the clip's own caption, into the samples.

        Args:
            inputs: What :class:`VideoTextDataPreprocessor` makes.
            data_samples: B samples, or ``None`` for fresh ones.

        Returns:
            The B samples.
        """
        queries = self.encode_video(inputs).queries
        samples = data_samples or [VideoTextSample() for _ in range(len(queries))]
        for sample, embedding in zip(samples, queries):
            sample.embedding = embedding
        if 'text_ids' in inputs:
            texts = self.encode_text(inputs['text_ids'], inputs['text_mask'])
            own = self.similarity(queries, texts).diagonal()
            for sample, value in zip(samples, own):
                sample.set_field(value, 'similarity', field_type='data')
        return samples

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
        if 'text_ids' not in inputs:
            missing = [sample.video_id for sample in data_samples if 'text' not in sample]
            raise ValueError(f'training needs a caption for every clip; without one: {missing[:3]}')
        ids, mask = inputs['text_ids'], inputs['text_mask']
        tokens = self.extract_tokens(inputs)
        keys_values = self.qformer.project_video(tokens)
        queries, cache = self.qformer.encode_video(keys_values)
        contrast = self.contrastive_head.loss(
            self.contrastive_head.project_queries(queries),
            self.contrastive_head.project_text(self.qformer.encode_text(ids, mask)),
            [sample.video_id for sample in data_samples],
            [self.data_preprocessor.clean(sample.text) for sample in data_samples],
        )
        losses = dict(contrast.losses)
        if self.matching_head is not None:
            noise = inputs.get('negative_noise')
            losses.update(self._matching_loss(tokens, keys_values, ids, mask, contrast, noise))
        if self.caption_head is not None:
            losses.update(self._caption_loss(cache, ids, mask))
        density = getattr(self.neck, 'graph_density', None)
        if density is not None:
            losses['graph_density'] = density
        return losses

    def _matching_loss(
        self,
        tokens: Tensor,
        keys_values: Any,
        ids: Tensor,
        mask: Tensor,
        contrast: Contrast,
        noise: Tensor | None,
    ) -> dict[str, Tensor]:
        """Scores (video, own text), (video, wrong text), (wrong video, text); the first two share keys."""
        negatives = self.matching_head.sample(contrast, noise)
        pad = self.data_preprocessor.tokenizer.pad_id
        all_ids = gather_padded(ids, pad, contrast.counts)
        all_mask = gather_padded(mask, False, contrast.counts)
        longer = all_ids.shape[1] - ids.shape[1]
        own_ids, own_mask = (
            nn.functional.pad(ids, (0, longer), value=pad),
            nn.functional.pad(mask, (0, longer)),
        )
        pair_ids = torch.stack([own_ids, all_ids[negatives.text_for_video]], dim=1)  # [B, 2, L]
        pair_mask = torch.stack([own_mask, all_mask[negatives.text_for_video]], dim=1)
        same_video = self.matching_head(self.qformer.fuse(keys_values, pair_ids, pair_mask))  # [B, 2, 2]
        if len(contrast.counts) == 1:
            wrong_videos = self.qformer.select_videos(keys_values, negatives.video_for_text)
        else:
            all_tokens = all_gather_with_grad(tokens, contrast.counts)
            wrong_videos = self.qformer.project_video(all_tokens[negatives.video_for_text])
        wrong_video = self.matching_head(self.qformer.fuse(wrong_videos, ids[:, None], mask[:, None]))
        return self.matching_head.loss(same_video[:, 0], same_video[:, 1], wrong_video[:, 0], negatives)

    def _caption_loss(self, cache: Any, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Captions each clip from the query pass's cached keys and values; [DEC] takes the place of [CLS]."""
        decoder_ids = ids.clone()
        decoder_ids[:, 0] = self.data_preprocessor.tokenizer.dec_id
        return self.caption_head.loss(self.qformer.decode(cache, decoder_ids, mask), ids, mask)
