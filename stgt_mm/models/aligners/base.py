"""The base of models that align video with text: their part for evaluation, and auxiliary heads."""

from typing import Any, NamedTuple

from torch import Tensor, nn

from stgt_mm.models.heads.contrastive_head import Contrast
from stgt_mm.models.heads.structure import VideoStructure
from stgt_mm.models.video_encoder import VideoEncoder
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample
from stgt_mm.utils import did_you_mean


class VideoFeatures(NamedTuple):
    """What is kept of a video for retrieval."""

    queries: Tensor  # (V, Q, P), L2-normalised query embeddings
    tokens: Tensor  # (V, M, C), video tokens after vision_norm; re-ranking reads them


class Aligner(VideoEncoder):
    """Base of models with ``encode_video``, ``encode_text``, ``loss`` and a ``contrastive_head``."""

    def similarity(self, queries: Tensor, texts: Tensor) -> Tensor:
        """Cosines (V, K) of videos (V, Q, P) with captions (K, P), not divided by the temperature."""
        return self.contrastive_head.similarity(queries, texts)

    def contrast(self, queries: Tensor, texts: Tensor, samples: list[VideoTextSample]) -> Contrast:
        """Compares projected queries (B, Q, P) with the captions (B, P) of B samples, over all processes."""
        return self.contrastive_head.loss(
            queries,
            texts,
            [sample.video_id for sample in samples],
            [self.data_preprocessor.clean(sample.text) for sample in samples],
        )

    def build_auxiliary_heads(self, configs: dict[str, dict[str, Any] | None] | None) -> None:
        """Builds heads by name, None for none; they call ``encode_phrases(ids, mask)``, (R, L) to (R, D)."""
        given = {name: config for name, config in (configs or {}).items() if config}
        for name, config in given.items():
            if 'type' not in config:
                others = [other for other in given if other != name]
                raise ValueError(f'auxiliary_heads.{name} has no type. {did_you_mean(name, others)}')
        self.auxiliary_heads = nn.ModuleDict({name: MODELS.build(config) for name, config in given.items()})

    def auxiliary_losses(
        self,
        inputs: dict[str, Tensor],
        samples: list[VideoTextSample],
        tokens: Tensor,
        regions: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Merges what the auxiliary heads say of video tokens (B, M, C), and of other regions if given."""
        if not self.auxiliary_heads:
            return {}
        frames = self.frame_features(inputs, tokens)
        structure = VideoStructure(frames, tokens if regions is None else regions)
        losses: dict[str, Tensor] = {}
        for head in self.auxiliary_heads.values():
            losses |= head.loss(structure, self.encode_phrases, inputs, samples)
        return losses

    def predict(
        self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample] | None
    ) -> list[VideoTextSample]:
        """Writes ``embedding`` (Q, P), and ``similarity`` to a sample's own caption if it has one."""
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


def captions_of(inputs: dict[str, Tensor], data_samples: list[VideoTextSample]) -> tuple[Tensor, Tensor]:
    """Returns ids and mask (B, L) of the captions of a training batch; a ValueError if one has none."""
    if 'text_ids' not in inputs:
        missing = [sample.video_id for sample in data_samples if 'text' not in sample]
        raise ValueError(f'training needs a caption for every clip; without one: {missing[:3]}')
    return inputs['text_ids'], inputs['text_mask']
