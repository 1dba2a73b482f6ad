"""Where time goes: seconds by part, each counted once, and the memory of the process."""

import resource
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch


class Stopwatch:
    """Seconds by part. A part inside another counts for itself and is taken from the outer one.

    Two clocks run: the wall's, and the CPU's over all threads of this process, which on a shared machine
    tells what the work costs. On a GPU the clocks wait for the device at the start and end of each part.

    Args:
        device: Where the work is done.

    Attributes:
        wall: Part -> seconds of each round since :meth:`new_round`.
        cpu: The same by the CPU's clock.
    """

    def __init__(self, device: torch.device | str = 'cpu') -> None:
        self._wait = torch.cuda.synchronize if torch.device(device).type == 'cuda' else (lambda: None)
        self._open: list[str] = []
        self._stopped = False
        self._since = (0.0, 0.0)
        self.wall: list[dict[str, float]] = []
        self.cpu: list[dict[str, float]] = []
        self.new_round()

    def new_round(self) -> None:
        """Begins a round: medians are taken over rounds."""
        self.wall.append(defaultdict(float))
        self.cpu.append(defaultdict(float))

    def drop_rounds(self) -> None:
        """Forgets what was measured so far: it was to warm up."""
        self.wall, self.cpu = [], []
        self.new_round()

    def stop(self) -> None:
        """Books what has passed, and nothing from now on."""
        self._charge()
        self._stopped = True

    def _charge(self) -> None:
        """Books what has passed on the innermost part that is open."""
        if self._stopped:
            return
        self._wait()
        now = time.perf_counter(), time.process_time()
        if self._open:
            self.wall[-1][self._open[-1]] += now[0] - self._since[0]
            self.cpu[-1][self._open[-1]] += now[1] - self._since[1]
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Times what runs inside.

        Args:
            name: Name of the part.
        """
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a function so that its calls are a part.

        Args:
            name: Name of the part.
            function: The function.

        Returns:
            A function that does the same.
        """

        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return run

    @contextmanager
    def watching(self, *methods: tuple[str, Any, str]) -> Iterator[None]:
        """Times methods of objects while it is open.

        Args:
            *methods: (part, object, name of the method); an object that is None is passed by.
        """
        with ExitStack() as stack:
            for part, owner, name in methods:
                if owner is not None:
                    stack.enter_context(patch.object(owner, name, self.timed(part, getattr(owner, name))))
            yield

    def medians(self, clock: str = 'wall') -> dict[str, float]:
        """Returns the median seconds of each part over the rounds in which anything was timed.

        Args:
            clock: 'wall' or 'cpu'.

        Returns:
            Part -> seconds a round, in the order in which they first came.
        """
        rounds = [one for one in getattr(self, clock) if one]
        names = dict.fromkeys(name for one in rounds for name in one)
        return {name: statistics.median(one.get(name, 0.0) for one in rounds) for name in names}

    def totals(self, clock: str = 'wall') -> dict[str, float]:
        """Returns the seconds of each part over all rounds.

        Args:
            clock: 'wall' or 'cpu'.

        Returns:
            Part -> seconds.
        """
        sums: dict[str, float] = defaultdict(float)
        for one in getattr(self, clock):
            for name, seconds in one.items():
                sums[name] += seconds
        return dict(sums)


def model_parts(model: Any) -> list[tuple[str, Any, str]]:
    """Lists the parts of a ``VideoTextAligner`` for :meth:`Stopwatch.watching`.

    Args:
        model: The model, without a wrapper.

    Returns:
        Backbone, neck (with the norm behind it), Q-Former, re-rank and the preparation of batches.
    """
    return [
        ('prepare', model.data_preprocessor, 'forward'),
        ('backbone', model.backbone, 'forward'),
        ('neck', model.neck, 'forward'),
        ('neck', model.vision_norm, 'forward'),
        ('Q-Former: video', model.qformer, 'project_video'),
        ('Q-Former: video', model.qformer, 'encode_video'),
        ('Q-Former: text', model.qformer, 'encode_text'),
        ('re-rank', model.qformer, 'fuse'),
        ('re-rank', model.matching_head, 'forward'),
        ('Q-Former: captioning', model.qformer, 'decode'),
    ]


def peak_memory_gib(device: torch.device | str = 'cpu') -> float:
    """Returns the most memory that was in use, in GiB.

    Args:
        device: A GPU: tensors on it. A CPU: all of this process that was in memory, code included.

    Returns:
        GiB since the start of the process.
    """
    if torch.device(device).type == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
