"""A key of a config at several values: a test or a training each, a table and a curve."""

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stgt_mm.analysis.jobs import Job, final_checkpoint, python_tool, run_chains
from stgt_mm.config import load_config, parse_overrides
from stgt_mm.errors import UserError
from stgt_mm.evaluation.report import write_results
from stgt_mm.io.hashing import config_sha256, file_sha256
from stgt_mm.utils import did_you_mean

RERANK_KEY = 'test_cfg.rerank_k'


@dataclass(frozen=True)
class Figure:
    """A sweep of the paper.

    Attributes:
        key: What is swept.
        values: At which values.
        trains: Whether each value is a training from the checkpoint, and not just a test of it.
        what: In words.
    """

    key: str
    values: tuple[str, ...]
    trains: bool
    what: str


# Source: STGT, Figures 7a, 7b and 12; the ranges of 7b are the paper's, the others cover what makes sense.
FIGURES = {
    '7a': Figure(
        'model.neck.test_similarity_threshold',
        ('0.0', '0.1', '0.2', '0.3', '0.4', '0.5', '0.6', '0.7', '0.8', '0.9'),
        False,
        'threshold h of the graph in testing; the checkpoint was trained with VTC at h = 0.1',
    ),
    '7b': Figure(
        'model.contrastive_head.csal.gamma',
        tuple(map(str, range(1, 13))),
        True,
        'gamma of CSAL; each value retrains stage 2 from the checkpoint of stage 1',
    ),
    '12': Figure(
        RERANK_KEY,
        ('0', '1', '2', '4', '8', '16', '32', '64', '128'),
        False,
        'candidates k of a query that the matching head re-ranks; 0 is similarity alone',
    ),
}


@dataclass(frozen=True)
class Sweep:
    """What to sweep.

    Attributes:
        config: Config file.
        key: Dotted key.
        values: Its values, as typed.
        checkpoint: Tested at each value, or where each training starts.
        trains: Whether to train.
        folder: Where all results go.
        options: Further ``KEY=VALUE`` settings.
        processes: Processes a training or a test.
        tools: The folder ``tools`` of the repository.
    """

    config: str
    key: str
    values: tuple[str, ...]
    checkpoint: Path
    trains: bool
    folder: Path
    options: tuple[str, ...]
    processes: int
    tools: Path

    def __post_init__(self) -> None:
        if not self.checkpoint.is_file():
            near = sorted(str(path) for path in self.checkpoint.parent.glob('*.pth'))
            raise UserError(
                f"there is no checkpoint '{self.checkpoint}'. {did_you_mean(str(self.checkpoint), near)}"
            )
        if len(set(self.values)) != len(self.values) or not self.values:
            raise UserError(f'values {", ".join(self.values)}: at least one, each once.')
        for value in self.values:
            self.config_at(value)

    def settings(self, value: str) -> list[str]:
        """Lists the ``KEY=VALUE`` settings of a point.

        Args:
            value: The value.

        Returns:
            The settings.
        """
        start = [f'load_from={self.checkpoint}'] if self.trains else []
        return [*self.options, *start, f'{self.key}={value}']

    def config_at(self, value: str) -> Any:
        """Loads the config of a point; a mistyped key shows here, before anything runs.

        Args:
            value: The value.

        Returns:
            The config.
        """
        return load_config(self.config, parse_overrides(self.settings(value)))

    def point(self, value: str) -> Path:
        """Says where the results of a point are.

        Args:
            value: The value.

        Returns:
            The folder.
        """
        return self.folder / 'points' / re.sub(r'[^\w.+-]+', '_', value)

    @property
    def encodes_once(self) -> bool:
        """Whether all points come from one pass over the videos."""
        return self.key == RERANK_KEY and not self.trains and self.processes == 1


def run_sweep(sweep: Sweep) -> list[dict[str, Any]]:
    """Runs the points that are not done yet.

    Args:
        sweep: What to sweep.

    Returns:
        For each value in order ``{'value', 'metrics', 'protocol', ...}``, from ``results.json`` of its test.
    """
    weights = file_sha256(sweep.checkpoint)
    chains = [_point_jobs(sweep, value, weights) for value in sweep.values]
    left = [value for value, chain in zip(sweep.values, chains) if chain[-1].finished() is None]
    print(f'{sweep.key}: {len(sweep.values)} values, {len(sweep.values) - len(left)} done before')
    if sweep.encodes_once and left:
        _rerank(sweep, {value: chain[-1] for value, chain in zip(sweep.values, chains) if value in left})
    elif left:
        _run_points(sweep, chains)
    points = []
    for value in sweep.values:
        results = json.loads((sweep.point(value) / 'results.json').read_text(encoding='utf-8'))
        points.append({'value': _parsed(sweep.key, value), **results})
    return points


def _run_points(sweep: Sweep, chains: list[list[Job]]) -> None:
    started, run = time.monotonic(), 0
    for place, (value, chain) in enumerate(zip(sweep.values, chains), 1):
        left = ''
        if run:
            minutes = (time.monotonic() - started) / run * (len(chains) - place + 1) / 60
            left = f', at most {minutes:.1f} min left'
        print(f'[{place}/{len(chains)}] {sweep.key}={value}{left}', flush=True)
        run += run_chains([chain]) > 0


def _point_jobs(sweep: Sweep, value: str, weights: str) -> list[Job]:
    folder = sweep.point(value)
    cfg = sweep.config_at(value)
    identity = f'{weights} {config_sha256(cfg, ())}'
    settings = ['--work-dir', folder, '--cfg-options', *sweep.settings(value)]
    jobs, checkpoint = [], sweep.checkpoint
    if sweep.trains:
        command = _tool(sweep, 'train', [sweep.config], ['--resume', *settings])
        jobs.append(Job(f'training with {sweep.key}={value}', command, folder / 'train.json', identity))
        checkpoint = final_checkpoint(folder, cfg)
    command = _tool(sweep, 'test', [sweep.config, checkpoint], ['--out', folder / 'results.json', *settings])
    return [*jobs, Job(f'test with {sweep.key}={value}', command, folder / 'test.json', identity)]


def _tool(sweep: Sweep, name: str, arguments: list[Any], options: list[Any]) -> tuple[str, ...]:
    if sweep.processes == 1:
        return python_tool(sweep.tools / f'{name}.py', *arguments, *options)
    script = str(sweep.tools / f'dist_{name}.sh')
    return ('bash', script, *map(str, arguments), str(sweep.processes), *map(str, options))


def _rerank(sweep: Sweep, jobs: dict[str, Job]) -> None:
    """Tests several k on one encoding, each pair scored once."""
    from stgt_mm.engine.cli import build_runner

    started = time.monotonic()
    numbers = {value: _parsed(sweep.key, value) for value in jobs}
    if any(not isinstance(number, int) for number in numbers.values()):
        raise UserError(f'{RERANK_KEY}: whole numbers, not {", ".join(jobs)}.')
    cfg = load_config(
        sweep.config, parse_overrides([*sweep.options, f'{RERANK_KEY}={max(numbers.values())}'])
    )
    cfg.work_dir, cfg.launcher = str(sweep.folder / 'log'), 'none'
    cfg.resume, cfg.load_from, cfg.load_strict = False, str(sweep.checkpoint), True
    runner = build_runner(cfg)
    loop = runner.test_loop
    runner.call_hook('before_run')
    runner.load_or_resume()
    split = loop.encode()
    found = loop.sweep_rerank_k(split, sorted(numbers.values()))
    for value, job in jobs.items():
        protocol = {
            **loop.protocol,
            'rerank_k': min(numbers[value], max(loop.protocol['videos'], loop.protocol['texts'])),
            'config': sweep.config,
            'checkpoint': str(sweep.checkpoint),
        }
        write_results(sweep.point(value) / 'results.json', found[numbers[value]], protocol)
        job.finish((time.monotonic() - started) / len(jobs))


def _parsed(key: str, value: str) -> Any:
    return parse_overrides([f'{key}={value}'])[key]
