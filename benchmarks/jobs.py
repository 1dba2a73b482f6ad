"""Commands that run one a core, are not run again once they are done, and leave a log each."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stgt_mm.errors import UserError
from stgt_mm.io.whole_file import whole_file
from stgt_mm.progress import format_duration

_SHOWN_LINES = 12
# One thread, and memory of large tensors kept by the process, as tools/quickstart.sh has it.
_ONE_CORE = {
    'OMP_NUM_THREADS': '1',
    'MKL_NUM_THREADS': '1',
    'OMP_WAIT_POLICY': 'PASSIVE',
    'MALLOC_MMAP_THRESHOLD_': '33554432',
    'MALLOC_TRIM_THRESHOLD_': '4294967296',
}


@dataclass(frozen=True)
class Job:
    """A command that is run once, with a name for messages.

    ``marker`` is a JSON file that is written when it has succeeded; the output lies beside it, in a file with
    the ending ``.log``. ``identity`` is what the result depends on besides the command, such as hashes: a
    marker with another command or identity does not count.
    """

    name: str
    command: tuple[str, ...]
    marker: Path
    identity: str = ''

    @property
    def log(self) -> Path:
        """Where the output goes."""
        return self.marker.with_suffix('.log')

    def finished(self) -> dict[str, Any] | None:
        """Returns what the marker says, ``seconds`` among it; None if the job is not done."""
        try:
            marker = json.loads(self.marker.read_text(encoding='utf-8'))
        except (OSError, json.JSONDecodeError):
            return None
        same = (marker.get('command'), marker.get('identity')) == (list(self.command), self.identity)
        return marker if same else None


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def free_cores() -> list[int]:
    """Returns the cores that this process may use; numbers from 0 where the system does not tell."""
    if hasattr(os, 'sched_getaffinity'):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def run_chains(
    chains: Sequence[Sequence[Job]],
    cores: Sequence[int] | None = None,
    tick: Callable[[], None] | None = None,
    period: float = 1.0,
) -> int:
    """Runs chains of jobs: those of a chain one after the other, the chains at the same time.

    With ``cores``, as many chains as there are cores run at once, each on a core of its own with one thread;
    with None they run one after the other on all. ``tick`` is called every ``period`` seconds.

    Returns:
        How many jobs were run; the others were done before.

    Raises:
        UserError: If a job fails or the user interrupts; what runs is stopped.
    """
    waiting = [[job for job in chain if job.finished() is None] for chain in chains]
    waiting = [chain for chain in waiting if chain]
    count = sum(map(len, waiting))
    free: list[int | None] = [None] if cores is None else list(cores)
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and free:
                running.append(_Running(waiting.pop(0), free.pop(0)))
            time.sleep(min(period, 0.2))
            for own in list(running):
                if own.is_over():
                    running.remove(own)
                    free.append(own.core)
            if tick is not None:
                tick()
    except KeyboardInterrupt:
        raise UserError('interrupted. The same command goes on from here.') from None
    finally:
        for own in running:
            own.stop()
    return count


class _Running:
    """A chain whose first job is running."""

    def __init__(self, chain: list[Job], core: int | None):
        self.chain = chain
        self.core = core
        self._start()

    def _start(self) -> None:
        job = self.chain[0]
        job.marker.parent.mkdir(parents=True, exist_ok=True)
        job.marker.unlink(missing_ok=True)
        self._began = time.monotonic()
        environment = dict(os.environ)
        if self.core is not None:
            environment.update(_ONE_CORE)
        with open(job.log, 'a', encoding='utf-8') as log:
            log.write(f'$ {" ".join(job.command)}\n')
            log.flush()
            self._process = subprocess.Popen(
                job.command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )
        if self.core is not None and hasattr(os, 'sched_setaffinity'):
            # over before the new process has started its first thread; ended already: is_over() sees why
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(self._process.pid, {self.core})

    def is_over(self) -> bool:
        """Looks after the job, starts the next one, and says whether the chain has come to its end."""
        status = self._process.poll()
        if status is None:
            return False
        job = self.chain.pop(0)
        if status:
            lines = job.log.read_text(encoding='utf-8', errors='replace').splitlines()[-_SHOWN_LINES:]
            how = f'was ended by signal {-status}' if status < 0 else f'ended with status {status}'
            raise UserError(
                f'{job.name} {how}. The end of {job.log}:\n'
                + ''.join(f'  {line}\n' for line in lines)
                + 'Repair it and start the same command again: what is done is not done again.'
            )
        seconds = time.monotonic() - self._began
        write_json(job.marker, {'command': list(job.command), 'identity': job.identity, 'seconds': seconds})
        if self.chain:
            self._start()
        return not self.chain

    def stop(self) -> None:
        """Ends the job and what it has started."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()


def python_tool(tool: Path, *arguments: object) -> tuple[str, ...]:
    """Makes the command of a Python tool: program and arguments."""
    return (sys.executable, str(tool), *map(str, arguments))


def final_checkpoint(work_dir: Path, cfg: Mapping[str, Any]) -> Path:
    """Says which checkpoint a training will leave to be tested.

    The best on validation if the config has one and keeps the best, else that of the last epoch.
    """
    kept = ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).get('save_best')
    if kept and cfg.get('val_dataloader') is not None:
        return work_dir / f'best_{kept.replace("/", "_")}.pth'
    return work_dir / f'epoch_{cfg["train_cfg"]["max_epochs"]}.pth'


class ProgressLine:
    """A line that says what runs and, from the seconds ``left``, how long it and the rest will take.

    It comes each second on a terminal, else twice a minute.
    """

    def __init__(self, label: str, left: float | None = None):
        self.label = label
        self.left = left
        self._started = time.monotonic()
        self._printed = 0.0
        self._terminal = sys.stderr.isatty()

    def tick(self) -> None:
        """Prints the line if it is time."""
        now = time.monotonic()
        if self._printed and now - self._printed < (1.0 if self._terminal else 30.0):
            return
        self._printed = now
        spent = now - self._started
        left = '' if self.left is None else f', {format_duration(self.left - spent)} left in all'
        self.say(f'{format_duration(spent)}{left}')

    def say(self, what: str) -> None:
        """Prints the label and something about it."""
        sys.stderr.write(f'\r\x1b[K{self.label}: {what}' if self._terminal else f'{self.label}: {what}\n')
        sys.stderr.flush()

    def end(self) -> None:
        """Ends the line."""
        if self._terminal:
            sys.stderr.write('\n')
