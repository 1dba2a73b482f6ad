"""Scores for clips that have read a text, and the negatives that these are trained with."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgt_mm.distributed import all_gather_with_grad, gather_padded
from stgt_mm.functional.matching import matching_batch
from stgt_mm.functional.negatives import sample_negatives
from stgt_mm.functional.similarity import full_precision
from stgt_mm.models.heads.contrastive_head import Contrast
from stgt_mm.registry import MODELS


class NegativeIndices(NamedTuple):
    """The negatives of the local pairs, as rows of the gathered batch; each tensor has the shape (B,)."""

    text_for_video: Tensor  # int64, another text for each local video
    video_for_text: Tensor  # int64, another video for each local text
    valid_text: Tensor  # bool; False: there is no other text, the index is 0 and must not count
    valid_video: Tensor  # bool; False: there is no other video


@MODELS.register_module()
class MatchingHead(nn.Module):
    """Match or no match, for each pair of clip and text that was fused by the Q-Former.

    Every rank fuses all B rows, also those without a negative: graphs stay equal and shapes static.

    Args:
        width: Width of the Q-Former, D.
        hard_fraction: Share of the negatives drawn by similarity, in [0, 1]; the rest is drawn evenly. 1 is
            the paper's; from scratch it may never leave the saddle at which all pairs are called no match,
            0.5 does.
        loss: Config of the matching loss, None for ``dict(type='VTM')``.

    Raises:
        ValueError: If ``hard_fraction`` is outside [0, 1].

    Source: BLIP-2 section 3.1; mean over queries of a Linear as in LAVIS.
    """

    def __init__(self, width: int, hard_fraction: float = 1.0, loss: dict[str, Any] | None = None) -> None:
        super().__init__()
        if not 0 <= hard_fraction <= 1:
            raise ValueError(f'hard_fraction must lie in [0, 1], got {hard_fraction}.')
        self.hard_fraction = hard_fraction
        self.classifier = nn.Linear(width, 2)
        self.vtm = MODELS.build(loss or {'type': 'VTM'})

    def forward(self, queries: Tensor) -> Tensor:
        """Maps queries (..., Q, D) that have read the text to logits (..., 2) for (no match, match)."""
        return full_precision(self.classifier(queries)).mean(dim=-2)

    def sample(self, contrast: Contrast, noise: Tensor | None = None) -> NegativeIndices:
        """Draws one negative text a video and one negative video a text from the global batch.

        A pair of the same video or the same text is never a negative. ``noise``, uniform in [0, 1), has the
        shape (2, B, G), for texts and for videos; None draws it. No gradient, no wait for the device.
        """
        cosines = contrast.v2t.detach(), contrast.t2v.detach()
        if noise is None:
            noise = torch.rand(2, *cosines[0].shape, device=cosines[0].device)
        (texts, valid_text), (videos, valid_video) = (
            sample_negatives(cosine / contrast.temperature, contrast.related, own, self.hard_fraction)
            for cosine, own in zip(cosines, noise)
        )
        return NegativeIndices(texts, videos, valid_text, valid_video)

    def loss(
        self,
        qformer: nn.Module,
        tokens: Tensor,
        keys_values: Any,
        ids: Tensor,
        mask: Tensor,
        pad_id: int,
        contrast: Contrast,
        noise: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Scores (video, own text), (video, wrong text), (wrong video, text), negatives from all ranks.

        Args:
            qformer: Has ``project_video``, ``select_videos`` and ``fuse``, see ``QFormer``.
            tokens: Video tokens, shape (B, M, C).
            keys_values: ``qformer.project_video(tokens)``.
            ids: Token ids of the captions, int64, shape (B, L); L may differ between ranks.
            mask: Boolean, shape (B, L); True = a token, False = padding.
            pad_id: Id that fills a shorter caption.
            contrast: Output of :meth:`ContrastiveHead.loss` for the same pairs.
            noise: Of :meth:`sample`.

        Returns:
            Those of :meth:`loss_from_logits`.
        """
        negatives = self.sample(contrast, noise)
        all_ids = gather_padded(ids, pad_id, contrast.counts)
        all_mask = gather_padded(mask, False, contrast.counts)
        padding = (0, all_ids.shape[1] - ids.shape[1])  # the longest caption may be on another rank
        own_ids, own_mask = F.pad(ids, padding, value=pad_id), F.pad(mask, padding)
        # two texts a video in one pass: they share its keys and values
        pair_ids = torch.stack([own_ids, all_ids[negatives.text_for_video]], dim=1)  # [B, 2, L]
        pair_mask = torch.stack([own_mask, all_mask[negatives.text_for_video]], dim=1)
        same_video = self(qformer.fuse(keys_values, pair_ids, pair_mask))  # [B, 2, 2]
        if len(contrast.counts) == 1:
            wrong_videos = qformer.select_videos(keys_values, negatives.video_for_text)
        else:
            # tokens travel, not keys and values: those are several times as much, one pair a layer
            all_tokens = all_gather_with_grad(tokens, contrast.counts)
            wrong_videos = qformer.project_video(all_tokens[negatives.video_for_text])
        wrong_video = self(qformer.fuse(wrong_videos, ids[:, None], mask[:, None]))  # [B, 1, 2]
        return self.loss_from_logits(same_video[:, 0], same_video[:, 1], wrong_video[:, 0], negatives)

    def loss_from_logits(
        self, positive: Tensor, negative_text: Tensor, negative_video: Tensor, negatives: NegativeIndices
    ) -> dict[str, Tensor]:
        """Objective of logits (B, 2) of the true pairs, (own video, wrong text) and (wrong video, own text).

        Returned are ``loss_vtm``; ``vtm_accuracy`` of the pairs of this rank that count, 0 if there are none
        (calling everything no match gives 0.667); ``vtm_skipped``, the share of its pairs that do not count.
        """
        logits, labels, valid = matching_batch(
            positive, negative_text, negative_video, negatives.valid_text, negatives.valid_video
        )
        with torch.no_grad():
            right = (logits.argmax(dim=1) == labels) & valid
            accuracy = right.sum() / valid.sum().clamp(min=1)
            skipped = 1 - valid.float().mean()
        return {
            'loss_vtm': self.vtm(logits, labels, valid),
            'vtm_accuracy': accuracy.float(),
            'vtm_skipped': skipped,
        }
