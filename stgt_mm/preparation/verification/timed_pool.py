"""Work in child processes, each item with a time limit that a native decoder cannot ignore."""

import ctypes
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any

START_LIMIT_S = 300.0
GRACE_S = 10
_READY = 'ready'
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Outcome:
    """What became of an item.

    Args:
        kind: ``'done'``, ``'failed'`` (an exception), ``'timed_out'`` or ``'crashed'`` (the process ended).
        value: What the work returned, or a text that says why there is nothing.
    """

    kind: str
    value: Any


class TimedPool:
    """Runs a function on items in child processes; one that hangs or crashes is ended and replaced.

    A decoder that hangs with the interpreter lock held cannot be stopped from within, so its process is
    killed. Where the parent is killed, Linux ends its children at once; elsewhere an alarm of the system
    ends a child that hangs, and the others end when they find their pipe closed.

    Args:
        work: Function of one item; with the start method ``spawn`` it must be picklable.
        jobs: Number of processes.
        time_limit: Seconds for an item.

    Raises:
        ValueError: If a number is not positive.
    """

    def __init__(self, work: Callable[[Any], Any], jobs: int, time_limit: float) -> None:
        if jobs < 1:
            raise ValueError(f'--jobs {jobs}: at least one process.')
        if not time_limit > 0:
            raise ValueError(f'--time-limit {time_limit}: a number of seconds above 0.')
        self.work = work
        self.jobs = jobs
        self.time_limit = time_limit
        methods = multiprocessing.get_all_start_methods()
        # forked children know what the parent has registered, and start at once
        self._context = multiprocessing.get_context('fork' if 'fork' in methods else 'spawn')

    def run(self, items: Iterable[Any]) -> Iterator[tuple[Any, Outcome]]:
        """Works on all items.

        Args:
            items: Items; as many are in work as there are processes.

        Yields:
            Pairs (item, outcome) in the order in which they end.

        Raises:
            RuntimeError: If a process does not start.
        """
        rest, busy, idle = iter(items), [], []
        try:
            while True:
                for item in islice(rest, self.jobs - len(busy)):
                    worker = idle.pop() if idle else _Worker(self._context, self.work, self.time_limit)
                    busy.append(worker)
                    worker.give(item)
                if not busy:
                    return
                for worker, outcome in _wait_for(busy):
                    busy.remove(worker)
                    if worker.ended:
                        worker.end()
                    else:
                        idle.append(worker)
                    yield worker.item, outcome
        finally:
            for worker in (*busy, *idle):
                worker.end()


def _wait_for(busy: list['_Worker']) -> list[tuple['_Worker', Outcome]]:
    """Waits until a worker answers, ends, or has had its time."""
    first = min(worker.deadline for worker in busy)
    ready = wait([worker.pipe for worker in busy], timeout=max(0.0, first - time.monotonic()))
    now = time.monotonic()
    outcomes = ((worker, worker.outcome(worker.pipe in ready, now)) for worker in busy)
    return [(worker, outcome) for worker, outcome in outcomes if outcome is not None]


class _Worker:
    """A child process, seen from the parent."""

    def __init__(self, context: Any, work: Callable[[Any], Any], time_limit: float) -> None:
        self.item: Any = None
        self.deadline = math.inf
        self.ended = False
        self._time_limit = time_limit
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, work, time_limit), daemon=True)
        self._process.start()
        theirs.close()
        with suppress(EOFError):
            if self.pipe.poll(START_LIMIT_S) and self.pipe.recv() == _READY:
                return
        self.end()
        raise RuntimeError('a process of the pool did not start; is there memory for another one?')

    def give(self, item: Any) -> None:
        self.item, self.deadline = item, time.monotonic() + self._time_limit
        with suppress(OSError):  # it died while it had nothing to do: the pipe will say so
            self.pipe.send(item)

    def outcome(self, ready: bool, now: float) -> Outcome | None:
        if ready:
            try:
                return Outcome(*self.pipe.recv())
            except (EOFError, OSError):
                self.ended = True
                self._process.join()
                return Outcome('crashed', f'the process that read it ended: {_cause(self._process.exitcode)}')
        if now < self.deadline:
            return None
        self.ended = True
        return Outcome('timed_out', f'nothing after {self._time_limit:g} s')

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f'status {code}'


def _serve(pipe: Connection, work: Callable[[Any], Any], time_limit: float) -> None:
    """What a child does: takes items until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    with suppress(EOFError, OSError):
        pipe.send(_READY)
        while True:
            item = pipe.recv()
            _set_alarm(math.ceil(time_limit) + GRACE_S)
            try:
                answer = ('done', work(item))
            except Exception as error:
                answer = ('failed', f'{type(error).__name__}: {error}')
            _set_alarm(0)
            pipe.send(answer)


def _die_with_parent() -> None:
    if sys.platform == 'linux':
        with suppress(OSError, AttributeError):  # a C library without prctl
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if not multiprocessing.parent_process().is_alive():
            os._exit(1)


def _set_alarm(seconds: int) -> None:
    # its default action ends the process from within the kernel, whatever the interpreter is doing
    if hasattr(signal, 'alarm'):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
