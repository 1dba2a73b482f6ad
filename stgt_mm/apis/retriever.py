"""Search in videos by a sentence: a trained aligner, an index, and both stages of ranking."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor

from stgt_mm.apis.aligners import PRETRAINED, load_aligner
from stgt_mm.apis.base import clip_pipeline, read_clip
from stgt_mm.apis.file_jobs import MomentJob, encode_moments
from stgt_mm.apis.indexing import IndexReport, update_index
from stgt_mm.apis.moments import MomentStream, encode_batch, encode_files
from stgt_mm.datasets.collate import video_text_collate
from stgt_mm.engine.checkpoint.files import read_checkpoint
from stgt_mm.engine.loops.retrieval_options import FUSION_WEIGHT, autocast_dtype
from stgt_mm.evaluation.encode import EncodedTexts, encode_texts
from stgt_mm.evaluation.match import match_pairs, top_candidates
from stgt_mm.evaluation.similarity import similarity_matrix
from stgt_mm.functional.fusion import DEFAULT_WEIGHT, check_fusion, fuse_scores
from stgt_mm.jobs import Engine
from stgt_mm.search import Hit, LanceIndex, Moment, QdrantIndex, VideoIndex
from stgt_mm.search.base import Measured
from stgt_mm.search.fingerprint import made_from
from stgt_mm.search.qdrant_index import SCHEME
from stgt_mm.search.sources import Source, list_videos
from stgt_mm.search.windows import check_windows

GROUPS = ('video', 'moment')


class RankedText(NamedTuple):
    """A text, and what both stages say of it and a video; see :class:`~stgt_mm.search.Hit`."""

    text: str
    score: float
    similarity: float
    matching: float | None


class VideoTextRetriever:
    """Finds moments of videos by a sentence, and the sentences that fit a video.

    For every model with ``encode_video``, ``encode_text`` and ``similarity``. One with a matching head
    re-ranks the best candidates, as many and by the same fusion as ``tools/test.py`` with the same config.

    Args:
        config: A config file, the name of one below ``configs/``, or what ``load_config`` returns. Clips are
            read by the pipeline of its test data set.
        checkpoint: Of a training of this config; None takes ``load_from`` of the config, ``'pretrained'`` the
            published weights of a dual encoder.
        device: By default a GPU if there is one.
        index: Where the index is or will be: a folder, or ``qdrant://host:port/collection``. None makes one
            that ends with the process.
        window_s: Cuts videos into moments of so many seconds; None leaves them whole.
        stride_s: Seconds from one moment to the next, by default ``window_s``.
        keep_tokens: Whether video tokens are kept, in an index in a folder. Re-ranking reads them; without
            them it reads and encodes its candidates once more.
        batch_size: Clips that are encoded together, by default that of the config's ``test_dataloader``.
        num_workers: Processes that read files, by default those of the same.
        engine: Has its processes read and encode files for the index, each with a model of its own. None: the
            model that is here does it.

    Attributes:
        store: The index.

    Raises:
        ValueError: If the model cannot search, or an option is impossible.
        IndexMismatchError: If the index was made by another model.

    Example:
        >>> retriever = VideoTextRetriever('stgt_tiny', 'best.pth', index='my_index')  # doctest: +SKIP
        >>> print(retriever.index('videos'))  # doctest: +SKIP
        >>> retriever.search('a person opens a door', k=3)[0].path  # doctest: +SKIP
        '/data/videos/door.mp4'
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        index: str | os.PathLike | None = None,
        window_s: float | None = None,
        stride_s: float | None = None,
        keep_tokens: bool = True,
        batch_size: int | None = None,
        num_workers: int | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.windows = check_windows(window_s, stride_s)
        self.model, self.cfg = load_aligner(config, checkpoint, device)
        self.reranks: bool = getattr(self.model, 'matching_head', None) is not None
        self.pipeline = clip_pipeline(self.cfg)
        loader = self.cfg.test_dataloader
        self.batch_size = batch_size or loader.get('batch_size', 1)
        self.num_workers = loader.get('num_workers', 0) if num_workers is None else num_workers
        self.engine, self._checkpoint = engine, str(checkpoint or self.cfg.load_from)
        self._take_protocol(self._checkpoint)
        made = made_from(self.model, self.cfg.model, self.pipeline, str(self.amp or torch.float32))
        self._temporary = TemporaryDirectory(prefix='stgt_mm_index_') if index is None else None
        where = self._temporary.name if self._temporary else str(index)
        self.store: VideoIndex = (
            QdrantIndex(where, made)
            if where.startswith(SCHEME)
            else LanceIndex(where, made, keep_tokens and self.rerank_k > 0)
        )

    def _take_protocol(self, checkpoint: str) -> None:
        """Takes from the config's test how to rank, and from the checkpoint the calibrated weight."""
        test = self.cfg.get('test_cfg') or {}
        self.amp = autocast_dtype(test.get('amp', False))
        self.fusion = check_fusion(test.get('score_fusion', 'itm+itc'))
        self.rerank_k: int = test.get('rerank_k', 32) if self.reranks and self.fusion != 'itc' else 0
        weight = test.get('fusion_weight')
        if weight is None and self.rerank_k and self.fusion == 'calibrated' and checkpoint != PRETRAINED:
            weight = read_checkpoint(checkpoint).get('meta', {}).get(FUSION_WEIGHT)
        self.fusion_weight = DEFAULT_WEIGHT if weight is None else float(weight)

    def index(self, source: Source, video_root: str | os.PathLike | None = None) -> IndexReport:
        """Has the index hold the videos of a source and no others; returns what was done.

        What is in it and has not changed, by path, size, time, windows and own columns, is not encoded again.
        A file that cannot be read stands in the report and stops nothing. ``source`` is a folder, a file, a
        JSON-lines file or a list, see :func:`~stgt_mm.search.sources.list_videos`.
        """
        return self._update(source, video_root, only=True)

    def add(self, source: Source, video_root: str | os.PathLike | None = None) -> IndexReport:
        """Adds videos, or encodes them again if they have changed, as :meth:`index`."""
        return self._update(source, video_root, only=False)

    def _update(self, source: Source, video_root: str | os.PathLike | None, only: bool) -> IndexReport:
        def encode(paths: Sequence[str]) -> Any:
            if self.engine is not None:
                how = (self.cfg.pretty_text, self._checkpoint, self.windows, self.batch_size, self.amp)
                return encode_moments(self.engine, MomentJob(*how, keep_tokens=self.store.keep_tokens), paths)
            stream = MomentStream(self.pipeline, paths, self.windows)
            return encode_files(self.model, stream, self.batch_size, self.num_workers, self.amp)

        return update_index(self.store, list_videos(source, video_root), self.windows, encode, only)

    def remove(self, source: Source) -> int:
        """Takes files, or all files below folders, out of the index; returns how many these were."""
        sources = [source] if isinstance(source, (str, os.PathLike)) else source
        wanted = [os.path.abspath(os.path.expanduser(own)) for own in sources]
        paths = [
            path for path in self.store.stamps() if any(Path(path).is_relative_to(own) for own in wanted)
        ]
        self.store.remove(paths)
        return len(paths)

    @torch.no_grad()
    def search(
        self,
        text: str,
        k: int = 5,
        filter: dict[str, Any] | None = None,
        group_by: str = 'video',
        rerank_k: int | None = None,
        approximate: bool = False,
    ) -> list[Hit]:
        """Finds what fits a sentence best.

        Args:
            text: The sentence.
            k: Hits wanted.
            filter: What hits must be, see :func:`~stgt_mm.search.filters.parse_filter`.
            group_by: ``'video'`` gives the best moment of each video, ``'moment'`` any moments.
            rerank_k: Candidates of the matching head, which go before all others: by default those of the
                config, or k if that is more; 0 turns it off.
            approximate: Whether to ask the approximate index, see :meth:`build_approximate`.

        Returns:
            At most k hits, best first.

        Raises:
            ValueError: If an option is impossible.
        """
        if group_by not in GROUPS or k < 1:
            raise ValueError(f"group_by='{group_by}', k={k}: group_by is one of {GROUPS}, k at least 1.")
        count = self._candidates(rerank_k, k)
        texts = self._encode_texts([text])
        hits = self.store.nearest(
            texts.embeddings[0], max(k, count), filter, group_by == 'video', approximate
        )
        similarity = torch.tensor([hit.similarity for hit in hits], dtype=torch.float64)
        tokens = {place: self._tokens_of(hit)[None] for place, hit in enumerate(hits[:count])}
        video = torch.arange(len(tokens))
        ranked = self._rank(similarity, tokens, texts, video, torch.zeros_like(video))
        return [hits[place]._replace(score=score, matching=matching) for place, score, matching in ranked[:k]]

    @torch.no_grad()
    def captions(
        self,
        video: str | os.PathLike,
        texts: Sequence[str],
        start: float | None = None,
        end: float | None = None,
        rerank_k: int | None = None,
    ) -> list[RankedText]:
        """Ranks texts by how well they fit a video, or what is shown from ``start`` to ``end`` seconds.

        ``rerank_k`` is that of :meth:`search`, by default all.
        """
        moment = self._encode(read_clip(self.pipeline, video, start, end))
        encoded = self._encode_texts(texts)
        similarity = similarity_matrix(self.model, moment.queries[None], encoded.embeddings)
        order = top_candidates(similarity, len(texts))[0]
        chosen = order[: self._candidates(rerank_k, len(texts))]
        tokens = {0: moment.tokens[None]} if len(chosen) else {}
        ranked = self._rank(similarity[0, order], tokens, encoded, torch.zeros_like(chosen), chosen)
        return [
            RankedText(texts[order[place]], score, float(similarity[0, order[place]]), matching)
            for place, score, matching in ranked
        ]

    def build_approximate(self, texts: Sequence[str], k: int = 10, recall: float = 0.99) -> Measured:
        """Prepares approximate search for the index as it is now, and prints its recall against exact.

        ``texts`` are like those that will be asked: it is made thorough enough to find ``recall`` of their k
        best videos. After a change of the index it is built again.
        """
        measured = self.store.build_approximate(self._encode_texts(texts).embeddings, k, recall)
        print_log(str(measured), logger='current')
        return measured

    def embed_video(
        self, video: str | os.PathLike, start: float | None = None, end: float | None = None
    ) -> Tensor:
        """Returns the query embeddings (Q, P) of a video, or of a moment of it, on the CPU."""
        return self._encode(read_clip(self.pipeline, video, start, end)).queries

    def embed_text(self, texts: str | Sequence[str]) -> Tensor:
        """Returns the embedding (P,) of a text, or those (K, P) of several, on the CPU."""
        embeddings = self._encode_texts([texts] if isinstance(texts, str) else texts).embeddings
        return embeddings[0] if isinstance(texts, str) else embeddings

    def frames(self, hit: Hit) -> Tensor:
        """Returns the frames of a hit as the model gets them, uint8 (T, 3, H, W)."""
        return self._read(hit)['inputs']

    def _read(self, hit: Hit) -> dict[str, Any]:
        # where no end is known, nothing was cut
        span = () if hit.end is None else (hit.start, hit.end)
        return read_clip(self.pipeline, hit.path, *span)

    def _encode(self, sample: dict[str, Any]) -> Moment:
        return encode_batch(self.model, video_text_collate([sample]), self.amp)[0]

    @torch.no_grad()
    def _encode_texts(self, texts: Sequence[str]) -> EncodedTexts:
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise ValueError(f'{list(texts)!r}: give at least one text, and none that is empty.')
        return encode_texts(self.model, list(texts), self.amp)

    def _tokens_of(self, hit: Hit) -> Tensor:
        tokens = self.store.tokens_of(hit)
        return self._encode(self._read(hit)).tokens if tokens is None else tokens

    def _candidates(self, rerank_k: int | None, k: int) -> int:
        if rerank_k is None:
            return max(self.rerank_k, k) if self.rerank_k else 0
        if rerank_k < 0 or (rerank_k and not self.rerank_k):
            raise ValueError(
                f'rerank_k={rerank_k}: it is at least 0, and 0 for a model without a matching head or with '
                f"score_fusion='itc' (here {type(self.model).__name__}, '{self.fusion}')."
            )
        return rerank_k

    def _rank(
        self,
        similarity: Tensor,
        tokens: dict[int, Tensor],
        texts: EncodedTexts,
        video: Tensor,
        text: Tensor,
    ) -> list[tuple[int, float, float | None]]:
        """Ranks pairs, given in the order of their similarity (n,), the first of them by both stages.

        ``video`` and ``text`` say which these are. Returned are place, score and probability of a match.
        """
        count = len(video)
        if not count:
            return [(place, float(score), None) for place, score in enumerate(similarity)]
        logits = match_pairs(self.model, tokens, texts, video, text, self.amp)
        temperature = float(self.model.contrastive_head.temperature)
        scores = fuse_scores(similarity[:count], logits, self.fusion, temperature, self.fusion_weight)
        matching = logits.softmax(dim=-1)[:, 1]
        order = scores.argsort(descending=True, stable=True).tolist()
        best = [(place, float(scores[place]), float(matching[place])) for place in order]
        return best + [(place, float(similarity[place]), None) for place in range(count, len(similarity))]
