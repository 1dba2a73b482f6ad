"""The interface of an index of videos, whatever engine holds it."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from stgt_mm.errors import UserError
from stgt_mm.search.filters import Condition, parse_filter


@dataclass
class Moment:
    """A stretch of a video, encoded; a video that is not cut is one moment."""

    path: str
    start: float  # seconds
    end: float | None  # None where the file does not say how long it is
    queries: Tensor  # (Q, P), of length 1
    tokens: Tensor | None = None  # (M, C), for models that re-rank
    stamp: str = ''  # what the file was, and how it was cut
    columns: dict[str, Any] = field(default_factory=dict)  # the user's own


class Hit(NamedTuple):
    """A moment that was found, and what both stages say of it."""

    path: str
    start: float  # seconds
    end: float | None  # None where the file does not say how long it is
    score: float  # what hits are ranked by: fused, or the similarity of those that were not re-ranked
    similarity: float  # cosine of the nearest query embedding
    matching: float | None  # probability of a match, None where it was not asked for
    columns: dict[str, Any]  # the user's own
    tokens: str | None = None  # where the index keeps the video tokens


class Measured(NamedTuple):
    """What an approximate search finds of the k videos that an exact one finds, and what both take."""

    k: int
    recall: float
    seconds: float  # of a search
    exact_seconds: float

    def __str__(self) -> str:
        milliseconds = f'{1e3 * self.seconds:.1f} ms a search, exact {1e3 * self.exact_seconds:.1f} ms'
        return f'approximate search: recall@{self.k} {self.recall:.3f} against exact; {milliseconds}'


class VideoIndex(ABC):
    """Moments of videos with their query embeddings; all moments of a file come and go together."""

    keep_tokens: bool = False  # whether video tokens are kept too

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of moments."""

    @abstractmethod
    def stamps(self) -> dict[str, str]:
        """Returns the stamp of each file."""

    @abstractmethod
    def columns(self) -> set[str]:
        """Returns the names of the user's own columns."""

    @abstractmethod
    def write(self, moments: Sequence[Moment]) -> None:
        """Puts in all moments of some files in place of what was known of these."""

    @abstractmethod
    def remove(self, paths: Sequence[str]) -> None:
        """Takes files out."""

    @abstractmethod
    def _nearest(
        self, text: Tensor, k: int, conditions: list[Condition], by_video: bool, approximate: bool
    ) -> list[Hit]:
        """Finds as :meth:`nearest` does, in an index that is not empty."""

    def nearest(
        self,
        text: Tensor,
        k: int,
        filter: dict[str, Any] | None = None,
        by_video: bool = True,
        approximate: bool = False,
    ) -> list[Hit]:
        """Finds the k moments nearest to a text (P,), best first; ``by_video`` the best of k videos.

        A moment is as near as the nearest of its Q query embeddings. For ``filter`` see
        :func:`~stgt_mm.search.filters.parse_filter`.
        """
        conditions = parse_filter(filter, self.columns()) if filter else []
        return self._nearest(text, k, conditions, by_video, approximate) if len(self) else []

    def build_approximate(self, texts: Tensor, k: int = 10, recall: float = 0.99) -> Measured:
        """Prepares approximate search, as fast as it is with a recall of texts (K, P); returns what it is."""
        if not len(self):
            raise UserError('the index is empty: there is nothing to search approximately.')
        exact, exact_seconds = self._timed(texts, k, approximate=False)
        for _ in self._settings():
            found, seconds = self._timed(texts, k, approximate=True)
            right = sum(len(one & other) for one, other in zip(exact, found))
            measured = Measured(k, right / max(1, sum(map(len, exact))), seconds, exact_seconds)
            if measured.recall >= recall:
                break
        return measured

    def _settings(self) -> Iterator[None]:
        """Goes through settings of approximate search, from fast to thorough."""
        yield

    def _timed(self, texts: Tensor, k: int, approximate: bool) -> tuple[list[set[str]], float]:
        self.nearest(texts[0], k, approximate=approximate)  # what is done once
        began = time.perf_counter()
        hits = [self.nearest(text, k, approximate=approximate) for text in texts]
        seconds = (time.perf_counter() - began) / len(texts)
        return [{hit.path for hit in own} for own in hits], seconds

    def tidy(self) -> None:  # noqa: B027
        """Puts in order what many small writes have left; does nothing where the engine does so by itself."""

    def tokens_of(self, hit: Hit) -> Tensor | None:
        """Returns the video tokens (M, C) of a hit of this index; None where they are not kept."""
        return None


def distinct(fetch: Callable[[int], list[Hit]], k: int, most: int, by_video: bool) -> list[Hit]:
    """Takes the best k videos, or moments, of a search that may find one of them more than once.

    ``fetch(n)`` gives the best n of ``most``; n is raised until there are k, so that none is lost.
    """
    n, before = min(k, most), -1
    while True:
        best: dict[Any, Hit] = {}
        hits = fetch(n)
        for hit in hits:
            best.setdefault(hit.path if by_video else (hit.path, hit.start), hit)
        if len(best) >= k or n >= most or len(hits) == before:
            return list(best.values())[:k]
        n, before = min(4 * n, most), len(hits)
