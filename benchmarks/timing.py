"""Seconds by part, each counted once, on the clocks of the wall and of the CPU; memory of the process."""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch

CLOCKS = {'wall': 0, 'cpu': 1}


class Stopwatch:
    """Seconds by part. A part inside another counts for itself and is taken from the outer one.

    The CPU's clock runs over all threads of this process: on a shared machine it tells what the work costs,
    which ``torch.profiler`` does not know. On a GPU the clocks wait for the device at each boundary.

    Attributes:
        rounds: Part -> [wall, CPU] seconds, a dict a round.
    """

    def __init__(self, device: torch.device | str = 'cpu') -> None:
        self._wait = torch.cuda.synchronize if torch.device(device).type == 'cuda' else (lambda: None)
        self._open: list[str] = []
        self._since = (0.0, 0.0)
        self.rounds: list[dict[str, list[float]]] = [{}]

    def new_round(self) -> None:
        """Begins a round: medians are taken over rounds."""
        self._charge()
        self.rounds.append({})

    def _charge(self) -> None:
        """Books what has passed on the innermost part that is open."""
        self._wait()
        now = time.perf_counter(), time.process_time()
        if self._open:
            booked = self.rounds[-1].setdefault(self._open[-1], [0.0, 0.0])
            for clock in (0, 1):
                booked[clock] += now[clock] - self._since[clock]
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Times what runs inside."""
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    @contextmanager
    def watching(self, *methods: tuple[str, Any, str]) -> Iterator[None]:
        """Times methods, given as (part, object or None, name), while it is open."""

        def timed(part: str, function: Any) -> Any:
            @wraps(function)
            def run(*args: Any, **kwargs: Any) -> Any:
                with self.part(part):
                    return function(*args, **kwargs)

            return run

        with ExitStack() as stack:
            for part, owner, name in methods:
                if owner is not None:
                    stack.enter_context(patch.object(owner, name, timed(part, getattr(owner, name))))
            yield

    def medians(self, clock: str = 'wall') -> dict[str, float]:
        """Returns the median seconds of each part over the rounds in which anything was timed."""
        rounds = [one for one in self.rounds if one]
        names = dict.fromkeys(name for one in rounds for name in one)
        index = CLOCKS[clock]
        return {
            name: statistics.median(one[name][index] if name in one else 0.0 for one in rounds)
            for name in names
        }

    def totals(self, clock: str = 'wall') -> dict[str, float]:
        """Returns the seconds of each part over all rounds."""
        names = dict.fromkeys(name for one in self.rounds for name in one)
        return {name: sum(one[name][CLOCKS[clock]] for one in self.rounds if name in one) for name in names}


def take_turns(runs: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Times functions in turns, so that a busy machine slows all: wall and CPU seconds of each round."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return taken


def model_parts(model: Any) -> list[tuple[str, Any, str]]:
    """Lists the parts of an aligner for ``watching``, those that it has; the norm counts with the neck."""
    former, matching = (getattr(model, name, None) for name in ('qformer', 'matching_head'))
    parts = [
        ('prepare', model.data_preprocessor, 'forward'),
        ('backbone', model.backbone, 'forward'),
        ('neck', model.neck, 'forward'),
        ('neck', model.vision_norm, 'forward'),
        ('text', model.backbone, 'encode_text'),
        ('Q-Former: video', former, 'project_video'),
        ('Q-Former: video', former, 'encode_video'),
        ('Q-Former: text', former, 'encode_text'),
        ('re-rank', former, 'fuse'),
        ('re-rank', matching, 'forward'),
        ('Q-Former: captioning', former, 'decode'),
    ]
    return [part for part in parts if hasattr(part[1], part[2])]


def peak_memory_gib(device: torch.device | str = 'cpu') -> float:
    """Returns the most memory since the start, in GiB: of tensors on a GPU, of the whole process on a CPU."""
    if torch.device(device).type == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
