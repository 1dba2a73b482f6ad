"""Work in child processes, each item with a time limit that a native decoder cannot ignore."""

import ctypes
import math
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, TimeoutError, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pebble import ProcessExpired, ProcessPool

from stgt_mm.errors import UserError

GRACE_S = 10
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Outcome:
    """What became of an item: ``'done'``, ``'failed'``, ``'timed_out'`` or ``'crashed'``, and the result."""

    kind: str
    value: Any


class TimedPool:
    """Runs a function on items in child processes; one that hangs or crashes is ended and replaced.

    A decoder that hangs with the interpreter lock held cannot be stopped from within, so its process is
    killed. Where the parent is killed, Linux ends its children at once; elsewhere an alarm of the system
    ends a child that hangs, and the others end when they find their pipe closed. ``work`` must be picklable,
    ``time_limit`` is in seconds an item. ``spawn`` starts children that inherit nothing, for work on a GPU.
    """

    def __init__(self, work: Callable[[Any], Any], jobs: int, time_limit: float, spawn: bool = False) -> None:
        if jobs < 1:
            raise ValueError(f'--jobs {jobs}: at least one process.')
        if not time_limit > 0:
            raise ValueError(f'--time-limit {time_limit}: a number of seconds above 0.')
        self.work = work
        self.jobs = jobs
        self.time_limit = time_limit
        self.spawn = spawn

    def run(self, items: Iterable[Any]) -> Iterator[tuple[Any, Outcome]]:
        """Yields items and outcomes in the order in which they end."""
        # forked children know what the parent has registered, and start at once
        can_fork = not self.spawn and 'fork' in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context('fork' if can_fork else 'spawn')
        pool = ProcessPool(self.jobs, initializer=_prepare_child, context=context)
        rest, running = iter(items), {}
        try:
            while True:
                # two a process, so that none waits for its next; the time of an item counts from its start
                for item in islice(rest, 2 * self.jobs - len(running)):
                    arguments = (self.work, item, math.ceil(self.time_limit) + GRACE_S)
                    running[pool.schedule(_attempt, arguments, timeout=self.time_limit)] = item
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), self._outcome_of(future)
        except BrokenProcessPool as error:
            raise UserError(
                'a process of the pool was lost or did not start; is there memory for another one? The same '
                'command with fewer --jobs goes on where it was.'
            ) from error
        finally:
            pool.stop()
            pool.join()

    def _outcome_of(self, future: Future) -> Outcome:
        try:
            return Outcome(*future.result())
        except TimeoutError:
            return Outcome('timed_out', f'nothing after {self.time_limit:g} s')
        except ProcessExpired as error:
            cause = f'status {error.exitcode}'
            with suppress(ValueError):  # a negative status is a signal
                cause = signal.Signals(-error.exitcode).name
            return Outcome('crashed', f'the process that read it ended: {cause}')


def _prepare_child() -> None:
    # pebble's handler would wait for the interpreter lock, which a hanging decoder holds
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with_parent()


def _die_with_parent() -> None:
    if sys.platform == 'linux':
        with suppress(OSError, AttributeError):  # a C library without prctl
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if not multiprocessing.parent_process().is_alive():
            os._exit(1)


def _attempt(work: Callable[[Any], Any], item: Any, alarm_s: int) -> tuple[str, Any]:
    """Works on an item in the child."""
    _set_alarm(alarm_s)
    try:
        return 'done', work(item)
    except BaseException as error:  # the parent must not take a SystemExit for its own
        return 'failed', f'{type(error).__name__}: {error}'
    finally:
        _set_alarm(0)


def _set_alarm(seconds: int) -> None:
    # its default action ends the process from within the kernel, whatever the interpreter is doing
    if hasattr(signal, 'alarm'):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
