"""The pool of processes on a Ray cluster."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from typing import Any

from stgt_mm.errors import UserError
from stgt_mm.jobs.timed_pool import Outcome, TimedPool

_RETRIES = 5


class RayPool:
    """Does what :class:`TimedPool` does, ``jobs`` tasks of ``at_once`` items at a time.

    A task works through its items in a child process, so that one that hangs or crashes a decoder has the
    same outcome as here. Ray starts a task again whose worker or machine was lost: nothing is lost with it,
    for the work keeps no state.
    """

    def __init__(
        self,
        work: Callable[[Any], Any],
        jobs: int,
        time_limit: float,
        at_once: int,
        address: str | None,
        modules: Sequence[str],
        gpus: float,
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise UserError('--engine ray needs Ray: pip install ray') from error
        self._ray = ray
        # mmengine looks for a GPU when it is imported, and CUDA then works in no fork of that process
        self._one = TimedPool(work, 1, time_limit, spawn=gpus > 0)
        self._jobs = TimedPool(work, jobs, time_limit).jobs  # checked there
        self.time_limit = time_limit
        self._at_once = at_once
        self._address = address
        self._modules = modules
        self._gpus = gpus

    def run(self, items: Iterable[Any]) -> Iterator[tuple[Any, Outcome]]:
        """Yields items and outcomes in the order in which they end."""
        ray, rest, running = self._ray, iter(items), []
        ours = not ray.is_initialized()
        if ours:
            self._connect()
        task = ray.remote(num_cpus=1, num_gpus=self._gpus, max_retries=_RETRIES)(_work_off)
        try:
            if self._gpus > ray.cluster_resources().get('GPU', 0):
                raise UserError(f'--gpus-per-job {self._gpus:g}: this Ray cluster has no GPU. Leave it out.')
            while True:
                while len(running) < self._jobs and (part := list(islice(rest, self._at_once))):
                    running.append(task.remote(self._one, self._modules, part))
                if not running:
                    return
                (done, *_), running = ray.wait(running)
                yield from ray.get(done)
        except ray.exceptions.RayError as error:
            why = str(error).strip().splitlines()[-1]
            raise UserError(f'Ray gave up a task: {why}. The same command goes on where it was.') from error
        finally:
            for task in running:
                ray.cancel(task, force=True)
            if ours:
                ray.shutdown()

    def _connect(self) -> None:
        where = {'address': self._address} if self._address else {'address': 'local', 'num_cpus': self._jobs}
        self._ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)


def _work_off(pool: TimedPool, modules: Sequence[str], items: list[Any]) -> list[tuple[Any, Outcome]]:
    for module in modules:
        import_module(module)
    return list(pool.run(items))
