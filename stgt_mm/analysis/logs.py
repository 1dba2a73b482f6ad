"""Logs of runs: curves, seconds of the steps, best epochs."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from stgt_mm.analysis.tables import markdown_table
from stgt_mm.engine.hooks.metrics_file_hook import FILE_NAME, TIMES, read_metrics
from stgt_mm.errors import UserError
from stgt_mm.utils import did_you_mean
from stgt_mm.visualization.curves import Series, read_scalars, running_mean

DEFAULT_KEYS = ('loss', 't2v/Rmean', 'v2t/Rmean')
_NO_CURVE = {'epoch', *TIMES}


@dataclass(frozen=True)
class RunLog:
    """The log of one run, under a name for tables and pictures."""

    name: str
    series: Series  # steps and values by key; validation keys without ``val/``
    records: list[dict[str, Any]] = field(repr=False)  # every line of the log


def load_runs(work_dirs: Sequence[str | Path], names: Sequence[str] | None = None) -> list[RunLog]:
    """Reads the logs of work dirs, or ``metrics.jsonl`` files; ``UserError`` if there is none or it is empty.

    Without ``names``, a run has the shortest end of its path that tells it apart.
    """
    if names is not None and len(names) != len(work_dirs):
        raise ValueError(f'{len(names)} names for {len(work_dirs)} runs: give one each.')
    files = [_log_file(Path(folder)) for folder in work_dirs]
    if names is None:
        parts = [file.parent.resolve().parts for file in files]
        for length in range(1, max(map(len, parts)) + 1):
            names = ['/'.join(own[-length:]) for own in parts]
            if len(set(names)) == len(set(parts)):
                break
    runs = []
    for file, name in zip(files, names):
        records = read_metrics(file, with_times=True)
        if not records:
            raise UserError(f'{file} holds no whole line: the run has not written a step yet.')
        series = {key: curve for key, curve in read_scalars(file).items() if key not in _NO_CURVE}
        runs.append(RunLog(name, series, records))
    return runs


def _log_file(path: Path) -> Path:
    if path.is_file():
        return path
    if (path / FILE_NAME).is_file():
        return path / FILE_NAME
    if not path.is_dir():
        near = [str(folder) for folder in path.parent.glob('*') if folder.is_dir()]
        raise UserError(f"there is no folder '{path}'. {did_you_mean(str(path), near)}")
    inside = sorted(str(file.parent) for file in path.glob(f'*/**/{FILE_NAME}'))
    hint = 'Is it the work dir of a training?'
    if inside:
        hint = f'There are runs below it: {", ".join(inside[:5])}.'
    raise UserError(f"'{path}' has no {FILE_NAME}. {hint}")


def choose_keys(runs: Sequence[RunLog], keys: Sequence[str] | None = None) -> list[str]:
    """Says which keys of ``RunLog.series`` to draw; None takes loss and recalls as far as they are there.

    ``val/`` may be left out. Raises ``UserError`` if no run has a key.
    """
    known = {key for run in runs for key in run.series}
    if keys is None:
        return [key for key in DEFAULT_KEYS if key in known] or sorted(known)[:1]
    keys = [key.removeprefix('val/') for key in keys]
    if wrong := [key for key in keys if key not in known]:
        raise UserError(f"no run has logged '{wrong[0]}'. {did_you_mean(wrong[0], known)}")
    return keys


def curves_of(runs: Sequence[RunLog], key: str, window: int = 1) -> Series:
    """Collects the curve of a key by name of the run; ``window`` steps are averaged, validations never."""
    curves = {}
    for run in runs:
        if key in run.series:
            steps, values = run.series[key]
            smooth = window > 1 and not any(f'val/{key}' in record for record in run.records)
            curves[run.name] = (steps, running_mean(values, window) if smooth else values)
    return curves


class StepTimes(NamedTuple):
    """Seconds of the training steps of a run."""

    steps: int
    mean: float
    median: float
    slowest: float
    slowest_step: int  # from 1
    data_share: float  # share of the time spent waiting for data, in percent
    total: float


def step_times(records: Sequence[dict[str, Any]], skip: int = 0, clock: str = 'time') -> StepTimes | None:
    """Sums up the seconds of the steps without the first ``skip``; None if the log has no times.

    ``clock='cpu_time'`` has those of the CPU in the main process, which other programs do not lengthen.
    """
    timed = [record for record in records if record.get(clock) is not None][skip:]
    if not timed:
        return None
    times = [record[clock] for record in timed]
    total, slowest = sum(times), max(timed, key=lambda record: record[clock])
    by_clock = sum(record.get('time', 0.0) for record in timed)
    share = 100 * sum(record.get('data_time', 0.0) for record in timed) / max(by_clock, 1e-12)
    mean, median = statistics.fmean(times), statistics.median(times)
    return StepTimes(len(timed), mean, median, slowest[clock], slowest['step'], share, total)


def best_validation(run: RunLog, key: str) -> tuple[int, int, float] | None:
    """Finds epoch, step and value of the best validation, the first of equal ones; None if there was none.

    Lower is better for losses, ``MdR`` and ``MnR``, else higher.
    """
    lines = [record for record in run.records if record.get(f'val/{key}') is not None]
    if not lines:
        return None
    choose = min if 'loss' in key or key.endswith(('MdR', 'MnR')) else max
    best = choose(lines, key=lambda record: record[f'val/{key}'])
    return best['epoch'], best['step'], best[f'val/{key}']


def time_table(runs: Sequence[RunLog]) -> str:
    """Writes the time of the steps of each run as a Markdown table."""
    rows = []
    for run in runs:
        times = step_times(run.records)
        if times is None:
            rows.append([run.name, sum('loss' in record for record in run.records), *[None] * 6])
            continue
        seconds = [f'{value:.3f}' for value in (times.mean, times.median, times.slowest)]
        share, total = f'{times.data_share:.1f}', f'{times.total / 60:.1f}'
        rows.append([run.name, times.steps, *seconds, times.slowest_step, share, total])
    header = ['run', 'steps', 'mean s', 'median s', 'slowest s', 'at step', 'data %', 'total min']
    return markdown_table(header, rows)


def best_table(runs: Sequence[RunLog], keys: Sequence[str]) -> str:
    """Writes the best and the last validation of each run as a Markdown table; empty without validations."""
    rows = []
    for run in runs:
        for key in keys:
            best = best_validation(run, key)
            if best is not None:
                epoch, step, value = best
                rows.append([run.name, key, epoch, step, f'{value:.2f}', f'{run.series[key][1][-1]:.2f}'])
    header = ['run', 'key', 'best epoch', 'step', 'best', 'last']
    return markdown_table(header, rows) if rows else ''
