"""What an evaluation asks of a model: encode a split, score pairs with both heads, fuse, choose."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from stgt_mm.datasets.feature_warming import log_progress
from stgt_mm.evaluation.caption_choice import choice_accuracy, choice_indices
from stgt_mm.evaluation.encode import (
    BrokenVideosError,
    TextBank,
    VideoBank,
    device_of,
    encode_texts,
    encode_videos,
    similarity_matrix,
)
from stgt_mm.evaluation.gallery import EncodedSplit, Gallery
from stgt_mm.evaluation.post_processing import PostProcessor, bank_statistics
from stgt_mm.evaluation.rerank import CandidatePairs, match_pairs
from stgt_mm.evaluation.two_stage import TwoStage, similarity_tables
from stgt_mm.functional.fusion import fuse_scores


@dataclass
class Scorer:
    """A model as evaluation sees it.

    Attributes:
        model: The aligner, without a wrapper.
        fusion: One of ``SCORE_FUSIONS``.
        amp: Type of autocast, or None.
        skip_broken: Whether videos that cannot be decoded are left out instead of stopping.
    """

    model: nn.Module
    fusion: str
    amp: torch.dtype | None = None
    skip_broken: bool = False

    def context(self) -> AbstractContextManager:
        """Makes the context that the model runs in."""
        if self.amp is None:
            return nullcontext()
        return torch.autocast(device_of(self.model).type, dtype=self.amp)

    def encode_split(
        self,
        dataset: Dataset,
        batches: Iterable[dict[str, Any]],
        post_processors: Sequence[PostProcessor] = (),
    ) -> EncodedSplit:
        """Encodes a split.

        Args:
            dataset: A ``RetrievalDataset``.
            batches: Its collated batches.
            post_processors: What is made of the similarities beside themselves.

        Returns:
            The split.
        """
        videos = self._encode_videos(dataset, batches, 'Encoding, videos done')
        gallery = Gallery.of(dataset.text_to_videos, len(dataset), videos.broken)
        texts = encode_texts(self.model, [dataset.texts[index] for index in gallery.texts], self.context)
        queries = videos.queries[gallery.videos]
        similarity = similarity_matrix(self.model, queries, texts.embeddings)
        score_bank = partial(bank_statistics, self.model, queries, context=self.context)
        tables = [
            processor.apply(table, score_bank)
            for processor in post_processors
            for table in similarity_tables(similarity)
        ]
        processed = [table for table in tables if table is not None]
        return EncodedSplit(dataset, gallery, videos, texts, similarity, processed)

    def _encode_videos(self, dataset: Dataset, batches: Iterable[dict[str, Any]], what: str) -> VideoBank:
        videos = encode_videos(self.model, batches, len(dataset), self.context, log_progress(what))
        if videos.broken and (not self.skip_broken or len(videos.broken) == len(dataset)):
            reasons = {dataset.videos[index]['video']: why for index, why in videos.broken.items()}
            raise BrokenVideosError(reasons, len(dataset))
        return videos

    def match_candidates(self, split: EncodedSplit, k: int) -> TwoStage:
        """Scores the best candidates of every query with the matching head.

        Args:
            split: The split.
            k: Candidates a query.

        Returns:
            The scores.
        """
        tokens = split.gallery.renumber(split.videos.tokens)
        return TwoStage.of(split.similarity, k, lambda pairs: self._match(tokens, split.texts, pairs))

    def _match(self, tokens: dict[int, Tensor], texts: TextBank, pairs: CandidatePairs) -> Tensor:
        progress = log_progress('Re-ranking, videos done')
        return match_pairs(self.model, tokens, texts, pairs, self.context, progress)

    def fuse(self, cosine: Tensor, logits: Tensor, weight: float) -> Tensor:
        """Fuses the scores of both heads.

        Args:
            cosine: Shape (n,).
            logits: Matching logits, shape (n, 2).
            weight: Weight of the matching margin.

        Returns:
            float64, shape (n,).
        """
        temperature = float(self.model.contrastive_head.temperature)
        return fuse_scores(cosine, logits, self.fusion, temperature, weight)

    def choose(
        self, name: str, dataset: Dataset, batches: Iterable[dict[str, Any]], weight: float | None
    ) -> tuple[dict[str, float], int]:
        """Lets the model choose between captions.

        Args:
            name: Name of the choice, put before its numbers.
            dataset: A ``ChoiceDataset``.
            batches: Its collated batches.
            weight: Weight of the matching margin; None: by similarity alone.

        Returns:
            The metrics, and the number of choices that were made.
        """
        videos = self._encode_videos(dataset, batches, f'Encoding for {name}, videos done')
        triples = [triple for triple in dataset.triples if triple['video'] not in videos.broken]
        texts = encode_texts(self.model, dataset.texts, self.context)
        video, text = choice_indices(triples)
        cosine = similarity_matrix(self.model, videos.queries, texts.embeddings)[video, text]
        kinds = [triple['kind'] for triple in triples]
        metrics = {f'{name}/{key}': value for key, value in choice_accuracy(cosine, kinds).items()}
        if weight is not None:
            pairs = CandidatePairs(video.expand_as(text).flatten(), text.flatten(), len(texts.mask))
            logits = self._match(videos.tokens, texts, pairs)[pairs.find(video, text)]
            fused = choice_accuracy(self.fuse(cosine, logits, weight), kinds)
            metrics.update({f'fused_{name}/{key}': value for key, value in fused.items()})
        if videos.broken:
            metrics[f'{name}/skipped'] = len(dataset.triples) - len(triples)
        return metrics, len(triples)
