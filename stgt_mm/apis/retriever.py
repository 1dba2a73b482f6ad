"""Search in videos by a sentence: a trained aligner, an index, and both stages of ranking."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from torch import Tensor

from stgt_mm.apis.base import clip_pipeline, load_model, read_clip
from stgt_mm.apis.indexing import IndexReport, update_index
from stgt_mm.apis.moments import MomentStream, encode_batch, encode_files
from stgt_mm.datasets.collate import video_text_collate
from stgt_mm.engine.checkpoint.files import read_checkpoint
from stgt_mm.engine.loops.retrieval_options import FUSION_WEIGHT, autocast_dtype
from stgt_mm.evaluation.encode import EncodedTexts, encode_texts
from stgt_mm.evaluation.rank import match_pairs, similarity_matrix, top_candidates
from stgt_mm.functional.fusion import DEFAULT_WEIGHT, check_fusion, fuse_scores
from stgt_mm.search import Moment, VideoIndex, open_index
from stgt_mm.search.fingerprint import made_from
from stgt_mm.search.sources import Source
from stgt_mm.search.windows import check_windows

GROUPS = ('video', 'moment')


class Hit(NamedTuple):
    """A moment that was found, and what both stages say of it."""

    path: str
    start: float  # seconds
    end: float | None  # None where the file does not say how long it is
    score: float  # what hits are ranked by: fused, or the similarity of those that were not re-ranked
    similarity: float  # cosine of the nearest query embedding
    matching: float | None  # probability of a match, None where it was not asked for
    columns: dict[str, Any]  # the user's own


class RankedText(NamedTuple):
    """A text and what both stages say of it and a video."""

    text: str
    score: float
    similarity: float
    matching: float | None


class VideoTextRetriever:
    """Finds moments of videos by a sentence, and the sentence that fits a video.

    For every model with ``encode_video``, ``encode_text`` and ``similarity``; one with a matching head
    re-ranks the best candidates with it, as ``tools/test.py`` does: by the fusion, its weight and the number
    of candidates of the config's ``test_cfg``.

    Args:
        config: A config file, the name of one below ``configs/``, or what ``load_config`` returns. Clips are
            read by the pipeline of its test data set.
        checkpoint: Of a training of this config; None takes ``load_from`` of the config.
        device: By default a GPU if there is one.
        index: Where the index is or will be: a folder, or ``qdrant://host:port/collection``. None makes one
            that ends with the process.
        window_s: Cuts videos into moments of so many seconds; None leaves them whole.
        stride_s: Seconds from one moment to the next, ``window_s`` if not given.
        keep_tokens: Whether video tokens are kept beside an index in a folder. Re-ranking reads them;
            without them it reads and encodes its candidates once more.
        batch_size: Clips that are encoded together, by default that of the config's ``test_dataloader``.
        num_workers: Processes that read files, by default those of the same.

    Raises:
        ValueError: If the model is none that can search, or an option is impossible.
        IndexMismatchError: If the index was made by another model.

    Example:
        >>> retriever = VideoTextRetriever('stgt_tiny', 'best.pth', index='my_index')  # doctest: +SKIP
        >>> print(retriever.index('videos'))  # doctest: +SKIP
        >>> retriever.search('a person opens a door', k=3)[0].path  # doctest: +SKIP
        'videos/door.mp4'
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
    ) -> None:
        self.windows = check_windows(window_s, stride_s)
        self.model, self.cfg = load_model(find_config(config), checkpoint, device)
        lacking = [name for name in ('encode_text', 'similarity') if not hasattr(self.model, name)]
        if lacking:
            raise ValueError(
                f'a {type(self.model).__name__} has no {" and no ".join(lacking)}: it cannot search. Give the '
                'config of a VideoTextAligner, configs/moving_shapes/stgt_tiny.py for example.'
            )
        self.pipeline = clip_pipeline(self.cfg)
        loader = self.cfg.test_dataloader
        self.batch_size = loader.get('batch_size', 1) if batch_size is None else batch_size
        self.num_workers = loader.get('num_workers', 0) if num_workers is None else num_workers
        checkpoint = checkpoint or self.cfg.load_from
        self._read_protocol(checkpoint)
        name = f'{Path(self.cfg.filename or "a config").name} and {Path(checkpoint).name}'
        self._temporary = TemporaryDirectory(prefix='stgt_mm_index_') if index is None else None
        self.store: VideoIndex = open_index(
            self._temporary.name if index is None else index,
            made_from(self.model, self.cfg.model, self.pipeline, str(self.amp or torch.float32), name),
            keep_tokens=keep_tokens and self.reranks,
        )

    def _read_protocol(self, checkpoint: str | Path) -> None:
        """Takes from the config's test how to rank."""
        test = dict(self.cfg.get('test_cfg') or {})
        self.amp = autocast_dtype(test.get('amp', False))
        self.fusion = check_fusion(test.get('score_fusion', 'itm+itc'))
        self.rerank_k = test.get('rerank_k', 32) if self.reranks and self.fusion != 'itc' else 0
        weight = test.get('fusion_weight')
        if self.rerank_k and self.fusion == 'calibrated' and weight is None:
            weight = read_checkpoint(checkpoint).get('meta', {}).get(FUSION_WEIGHT)
        self.fusion_weight = DEFAULT_WEIGHT if weight is None else float(weight)

    @property
    def reranks(self) -> bool:
        """Whether the model has a matching head."""
        return getattr(self.model, 'matching_head', None) is not None

    def index(self, source: Source, video_root: str | os.PathLike | None = None) -> IndexReport:
        """Has the index hold these videos and no others.

        What is in it and has not changed, by path, size, time and windows, is not encoded again. A file that
        cannot be read stands in the report, and stops nothing.

        Args:
            source: A folder, a file, a JSON-lines file or a list, see
                :func:`~stgt_mm.search.sources.list_videos`.
            video_root: What the ``video`` of a JSON-lines file is relative to; by default its folder.

        Returns:
            What was done.
        """
        return self._update(source, video_root, only=True)

    def add(self, source: Source, video_root: str | os.PathLike | None = None) -> IndexReport:
        """Adds videos, or takes them up again if they have changed; arguments of :meth:`index`."""
        return self._update(source, video_root, only=False)

    def _update(self, source: Source, video_root: str | os.PathLike | None, only: bool) -> IndexReport:
        def encode(paths: Sequence[str]) -> Any:
            stream = MomentStream(self.pipeline, paths, self.windows)
            return encode_files(self.model, stream, self.batch_size, self.num_workers, self.amp)

        return update_index(self.store, source, video_root, self.windows, encode, only)

    def remove(self, source: Source) -> int:
        """Takes files, or all files below folders, out of the index; returns how many these were."""
        sources = [source] if isinstance(source, (str, os.PathLike)) else source
        wanted = [Path(os.path.abspath(os.path.expanduser(own))) for own in sources]
        paths = [path for path in self.store.files() if any(Path(path).is_relative_to(own) for own in wanted)]
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
            rerank_k: Candidates of the matching head; they go before all others. By default those of the
                config, or k if that is more; 0 turns it off.
            approximate: Whether to ask the approximate index, which the index must have.

        Returns:
            At most k hits, best first.

        Raises:
            ValueError: If an option is impossible.
        """
        if group_by not in GROUPS:
            raise ValueError(f"group_by='{group_by}' is unknown. Use one of {', '.join(GROUPS)}.")
        if k < 1:
            raise ValueError(f'k={k} must be at least 1.')
        count = self._candidates(rerank_k, k)
        texts = self._encode_texts([text])
        by_video = group_by == 'video'
        found = self.store.nearest(texts.embeddings[0], max(k, count), filter, by_video, approximate)
        moments = [moment for moment, _ in found]
        similarity = torch.tensor([similarity for _, similarity in found])
        tokens = self._tokens_of(moments[:count])
        video = torch.arange(len(tokens))
        ranked = self._rank(similarity, tokens, texts, video, torch.zeros_like(video))
        return [
            Hit(moments[i].path, moments[i].start, moments[i].end, *scores, moments[i].columns)
            for i, scores in ranked[:k]
        ]

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

        ``rerank_k`` is that of :meth:`search`, by default all texts.
        """
        moment = self._encode(video, start, end)
        encoded = self._encode_texts(texts)
        similarity = similarity_matrix(self.model, moment.queries[None], encoded.embeddings)[0]
        order = top_candidates(similarity[None], len(texts))[0]
        chosen = order[: self._candidates(rerank_k, len(texts))]
        tokens = [moment.tokens] if len(chosen) else []
        ranked = self._rank(similarity[order], tokens, encoded, torch.zeros_like(chosen), chosen)
        return [RankedText(texts[order[i]], *scores) for i, scores in ranked]

    def embed_video(
        self, video: str | os.PathLike, start: float | None = None, end: float | None = None
    ) -> Tensor:
        """Returns the query embeddings (Q, P) of a video or a moment of it, on the CPU."""
        return self._encode(video, start, end).queries

    def embed_text(self, texts: str | Sequence[str]) -> Tensor:
        """Returns the embedding (P,) of a text, or those (K, P) of several, on the CPU."""
        embeddings = self._encode_texts([texts] if isinstance(texts, str) else texts).embeddings
        return embeddings[0] if isinstance(texts, str) else embeddings

    @torch.no_grad()
    def _encode_texts(self, texts: Sequence[str]) -> EncodedTexts:
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise ValueError(f'{list(texts)!r}: give at least one text, and none that is empty.')
        return encode_texts(self.model, list(texts), self.amp)

    def _encode(self, path: str | os.PathLike, start: float | None, end: float | None) -> Moment:
        batch = video_text_collate([read_clip(self.pipeline, path, start, end)])
        return next(encode_batch(self.model, batch, self.amp))

    def _candidates(self, rerank_k: int | None, k: int) -> int:
        if rerank_k is None:
            return max(self.rerank_k, k) if self.rerank_k else 0
        if rerank_k < 0 or (rerank_k and not self.rerank_k):
            raise ValueError(
                f'rerank_k={rerank_k}: it is at least 0, and 0 for a model without a matching head or with '
                f"score_fusion='itc' (here {type(self.model).__name__}, '{self.fusion}')."
            )
        return rerank_k

    def _tokens_of(self, moments: Sequence[Moment]) -> list[Tensor]:
        kept = self.store.tokens_of(moments)
        whole = self.windows is None
        return [
            self._encode(own.path, *((None, None) if whole else (own.start, own.end))).tokens
            if tokens is None
            else tokens
            for own, tokens in zip(moments, kept)
        ]

    @torch.no_grad()
    def _rank(
        self, similarity: Tensor, tokens: Sequence[Tensor], texts: EncodedTexts, video: Tensor, text: Tensor
    ) -> list[tuple[int, tuple[float, float, float | None]]]:
        """Ranks pairs that stand in the order of their similarity (n,), the first of them re-ranked.

        ``video`` and ``text`` say which of the ``tokens`` and ``texts`` these first ones are. Returned are
        the places of the pairs, best first, and their score, similarity and probability of a match.
        """
        count = len(video)
        scores, matching = similarity.double(), [None] * len(similarity)
        order = list(range(len(similarity)))
        if count:
            numbered = {number: own[None] for number, own in enumerate(tokens)}
            logits = match_pairs(self.model, numbered, texts, video, text, self.amp)
            fuse = partial(fuse_scores, fusion=self.fusion, weight=self.fusion_weight)
            temperature = float(self.model.contrastive_head.temperature)
            scores[:count] = fuse(similarity[:count], logits, temperature=temperature)
            matching[:count] = logits.softmax(dim=-1)[:, 1].tolist()
            order[:count] = scores[:count].argsort(descending=True, stable=True).tolist()
        return [(i, (float(scores[i]), float(similarity[i]), matching[i])) for i in order]


def find_config(config: str | Path | Config) -> str | Path | Config:
    """Finds a config by its name below ``configs/``: ``'stgt_tiny'``, ``'moving_shapes/stgt_tiny'``."""
    if isinstance(config, Config) or Path(config).suffix == '.py':
        return config
    found = sorted(Path('configs').rglob(f'{config}.py'))
    if len(found) > 1:
        raise ValueError(
            f"'{config}' are several configs: {', '.join(map(str, found))}. Give the path of one."
        )
    return found[0] if found else config
