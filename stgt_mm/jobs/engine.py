"""Work on records one by one, where it is done: in processes of this machine, or on a Ray cluster."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from stgt_mm.jobs.journal import Finding, Journal
from stgt_mm.jobs.timed_pool import Outcome, TimedPool
from stgt_mm.progress import track

Item = TypeVar('Item')
ENGINES = ('local', 'ray')


class Pool(Protocol):
    """What runs a function on items; an outcome an item, in the order in which they end."""

    time_limit: float

    def run(self, items: Iterable[Any]) -> Iterator[tuple[Any, Outcome]]:
        """Yields items and outcomes."""


@dataclass(frozen=True)
class Engine:
    """Where work is done: ``jobs`` processes give each item ``time_limit`` seconds.

    ``kind='ray'`` starts them on the Ray cluster at ``address``, or without one on a Ray of this machine; the
    files must lie at the same absolute paths everywhere. ``modules`` are imported there first. ``gpus`` is
    what each process takes of the cluster's GPUs, 0.25 for example.
    """

    kind: str = 'local'
    jobs: int = 1
    time_limit: float = 120.0
    address: str | None = None
    modules: tuple[str, ...] = ()
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ENGINES:
            raise ValueError(f'--engine {self.kind}: use one of {", ".join(ENGINES)}.')
        if self.address and self.kind != 'ray':
            raise ValueError(f'--ray-address {self.address}: with --engine ray only.')
        if self.gpus and (self.kind != 'ray' or not 0 < self.gpus <= 1):
            raise ValueError(f'--gpus-per-job {self.gpus}: above 0, at most 1, and with --engine ray only.')

    def pool(self, work: Callable[[Any], Any], at_once: int = 1) -> Pool:
        """Makes a pool for a stateless function; Ray hands out ``at_once`` items at a time."""
        if self.kind == 'local':
            return TimedPool(work, self.jobs, self.time_limit)
        from stgt_mm.jobs.ray_pool import RayPool

        return RayPool(work, self.jobs, self.time_limit, at_once, self.address, self.modules, self.gpus)


def map_records(
    pool: Pool,
    stamps: Mapping[Item, tuple[int, int]],
    journal: Journal,
    finding: Callable[[Item, tuple[int, int], Outcome], Finding | None],
    what: str,
) -> int:
    """Works on the items that the journal does not know, by ``str(item)`` and stamp; returns how many.

    What ``finding`` makes of an outcome is kept at once. None is not kept: the next run tries it again.
    """
    todo = [
        item for item, stamp in stamps.items() if not journal.is_current(str(item), stamp, pool.time_limit)
    ]
    with closing(pool.run(todo)) as results:
        for item, outcome in track(results, what, len(todo)):
            found = finding(item, stamps[item], outcome)
            if found is not None:
                journal.add(found)
    return len(todo)
