"""What an index of videos is, whatever engine holds it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from stgt_mm.search.filters import Condition, parse_filter

Value = str | float | bool | None


@dataclass
class Moment:
    """A stretch of a video; a video that is not cut is one moment."""

    path: str
    start: float  # seconds
    end: float | None  # seconds, None where the file does not say
    stamp: str  # what the file was when it was encoded, and how it was cut
    columns: dict[str, Value] = field(default_factory=dict)  # the user's own
    queries: Tensor | None = None  # (Q, P), of length 1
    tokens: Tensor | None = None  # (M, C), on their way into the index
    kept: str | None = None  # where the index keeps the tokens


class Found(NamedTuple):
    """A moment and its cosine with what was asked for."""

    moment: Moment
    similarity: float


class Known(NamedTuple):
    """What an index knows of a file."""

    stamp: str
    columns: dict[str, Value]


class VideoIndex(ABC):
    """Moments of videos with their query embeddings; all moments of a file come and go together.

    Attributes:
        where: What to call it in messages.
    """

    where: str

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of moments."""

    @abstractmethod
    def files(self) -> dict[str, Known]:
        """Returns what is known of each file."""

    @abstractmethod
    def columns(self) -> set[str]:
        """Returns the names of the user's own columns."""

    @abstractmethod
    def write(self, moments: Sequence[Moment]) -> None:
        """Puts in all moments of some files in place of what was known of these."""

    @abstractmethod
    def read(self, paths: Sequence[str]) -> list[Moment]:
        """Returns the moments of files as they can be written again."""

    @abstractmethod
    def remove(self, paths: Sequence[str]) -> None:
        """Takes files out; those that are not in it are passed over."""

    @abstractmethod
    def _nearest(
        self, text: Tensor, k: int, conditions: list[Condition], by_video: bool, approximate: bool
    ) -> list[Found]:
        """Finds as :meth:`nearest` does."""

    def nearest(
        self,
        text: Tensor,
        k: int,
        filter: dict[str, Any] | None = None,
        by_video: bool = True,
        approximate: bool = False,
    ) -> list[Found]:
        """Finds the k moments nearest to a text (P,), best first; ``by_video`` the best of k videos.

        A moment is as near as the nearest of its Q query embeddings. For ``filter`` see
        :func:`~stgt_mm.search.filters.parse_filter`.
        """
        conditions = parse_filter(filter, self.columns())
        return self._nearest(text, k, conditions, by_video, approximate)[:k] if len(self) else []

    def tidy(self) -> None:  # noqa: B027
        """Puts in order what many small writes have left; does nothing where the engine does so by itself."""

    def tokens_of(self, moments: Sequence[Moment]) -> list[Tensor | None]:
        """Returns the video tokens (M, C) of moments; None where they are not kept."""
        return [None for _ in moments]


def best_of_videos(fetch: Callable[[int], list[Found]], k: int, most: int) -> list[Found]:
    """Takes the best moment of each of k videos from a search for moments.

    ``fetch(n)`` gives the best n of at most ``most``; n is raised until k videos are among them, so that
    grouping loses none.
    """
    n = min(k, most)
    while True:
        best: dict[str, Found] = {}
        for found in fetch(n):
            best.setdefault(found.moment.path, found)
        if len(best) >= k or n >= most:
            return list(best.values())[:k]
        n = min(4 * n, most)
