"""A key of a config at several values: a test or a training each."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.errors import UserError
from stgt_mm.evaluation.report import write_results
from stgt_mm.io.hashing import config_sha256, file_sha256
from stgt_mm.io.marker import marker_fits, write_marker
from stgt_mm.progress import format_duration
from stgt_mm.utils import did_you_mean

RERANK_KEY = 'test_cfg.rerank_k'


class Figure(NamedTuple):
    """A sweep of the paper."""

    what: str
    key: str
    values: tuple[str, ...]
    trains: bool = False  # whether each value is a training from the checkpoint, and not just a test of it


# Source: STGT, Figures 7a, 7b and 12; the ranges of 7b are the paper's, the others cover what makes sense.
FIGURES = {
    '7a': Figure(
        'threshold h of the graph in testing; the checkpoint was trained with VTC at h = 0.1',
        'model.neck.test_similarity_threshold',
        tuple(f'0.{tenth}' for tenth in range(10)),
    ),
    '7b': Figure(
        'gamma of CSAL; each value retrains stage 2 from the checkpoint of stage 1',
        'model.contrastive_head.csal.gamma',
        tuple(map(str, range(1, 13))),
        trains=True,
    ),
    '12': Figure(
        'candidates k of a query that the matching head re-ranks; 0 is similarity alone',
        RERANK_KEY,
        ('0', *(str(2**power) for power in range(8))),
    ),
}


@dataclass(frozen=True)
class Sweep:
    """What to sweep; a mistake shows here, before anything runs."""

    config: str
    key: str
    values: tuple[str, ...]  # as typed
    checkpoint: Path  # tested at each value, or where each training starts
    trains: bool
    folder: Path
    options: tuple[str, ...]  # further ``KEY=VALUE`` settings
    processes: int  # of each training and test
    tools: Path  # the folder ``tools`` of the repository

    def __post_init__(self) -> None:
        if not self.checkpoint.is_file():
            near = sorted(str(path) for path in self.checkpoint.parent.glob('*.pth'))
            raise UserError(
                f"there is no checkpoint '{self.checkpoint}'. {did_you_mean(str(self.checkpoint), near)}"
            )
        if len(set(self.values)) != len(self.values) or not self.values:
            raise UserError(f'values {", ".join(self.values)}: at least one, each once.')
        for value in self.values:
            load_config(self.config, parse_overrides(self.settings(value)))

    def settings(self, value: str) -> list[str]:
        """Lists the ``KEY=VALUE`` settings of a point."""
        start = [f'load_from={self.checkpoint}'] if self.trains else []
        return [*self.options, *start, f'{self.key}={value}']

    def point(self, value: str) -> Path:
        """Says in which folder the results of a point are."""
        return self.folder / 'points' / re.sub(r'[^\w.+-]+', '_', value)

    def parsed(self, value: str) -> Any:
        """Reads a value as the config gets it."""
        return parse_overrides([f'{self.key}={value}'])[self.key]


@dataclass(frozen=True)
class Step:
    """A training or a test of a point, run as a command of its own."""

    name: str
    marker: Path  # the log has the same name with ``.log``
    made_from: dict[str, Any]  # command, hash of the checkpoint, hash of the config

    def run(self) -> None:
        """Runs the command, unless it is done; ``UserError`` if it fails or the user interrupts."""
        if marker_fits(self.marker, self.made_from):
            return
        self.marker.parent.mkdir(parents=True, exist_ok=True)
        self.marker.unlink(missing_ok=True)
        command, log = self.made_from['command'], self.marker.with_suffix('.log')
        with open(log, 'a', encoding='utf-8') as file:
            file.write(f'$ {" ".join(command)}\n')
            file.flush()
            # A session of its own, so that its data loaders and its ranks can be stopped together with it.
            process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
        try:
            status = process.wait()
        except KeyboardInterrupt:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise UserError('interrupted. The same command goes on from here.') from None
        if status:
            lines = log.read_text(encoding='utf-8', errors='replace').splitlines()[-12:]
            said = '\n'.join(f'  {line}' for line in lines)
            how = f'was ended by signal {-status}' if status < 0 else f'ended with status {status}'
            raise UserError(
                f'{self.name} {how}. The end of {log}:\n{said}\n'
                'Remove the cause and start the same command again: what is done is not done again.'
            )
        write_marker(self.marker, self.made_from)


def run_sweep(sweep: Sweep) -> list[dict[str, Any]]:
    """Runs the points that are not done yet, and returns ``{'value', 'metrics', 'protocol', ...}`` of all."""
    weights = file_sha256(sweep.checkpoint)
    steps = {value: _steps(sweep, value, weights) for value in sweep.values}
    tests = {value: own[-1] for value, own in steps.items()}
    left = [value for value, test in tests.items() if not marker_fits(test.marker, test.made_from)]
    print(f'{sweep.key}: {len(sweep.values)} values, {len(sweep.values) - len(left)} done before')
    if left and sweep.key == RERANK_KEY and not sweep.trains and sweep.processes == 1:
        _rerank(sweep, {value: tests[value] for value in left})
        left = []
    started = time.monotonic()
    for done, value in enumerate(left):
        # not ProgressLine: each line is due when a point begins, hours before the next
        each = (time.monotonic() - started) / max(done, 1)
        estimate = f', {format_duration(each * (len(left) - done))} left' if done else ''
        print(f'[{done + 1}/{len(left)}] {sweep.key}={value}{estimate}', flush=True)
        for step in steps[value]:
            step.run()
    points = []
    for value in sweep.values:
        results = json.loads((sweep.point(value) / 'results.json').read_text(encoding='utf-8'))
        points.append({'value': sweep.parsed(value), **results})
    return points


def _steps(sweep: Sweep, value: str, weights: str) -> list[Step]:
    folder, settings = sweep.point(value), sweep.settings(value)
    cfg = load_config(sweep.config, parse_overrides(settings))
    config = config_sha256(cfg, ())

    def step(tool: str, *arguments: object) -> Step:
        command = [sys.executable, str(sweep.tools / f'{tool}.py'), sweep.config]
        if sweep.processes > 1:
            command = ['bash', str(sweep.tools / f'dist_{tool}.sh'), sweep.config]
        command += [*map(str, arguments), '--work-dir', str(folder), '--cfg-options', *settings]
        made_from = {'command': command, 'weights': weights, 'config': config}
        return Step(f'{tool}ing with {sweep.key}={value}', folder / f'{tool}.json', made_from)

    processes = [sweep.processes] if sweep.processes > 1 else []
    results = ['--out', folder / 'results.json']
    if not sweep.trains:
        return [step('test', sweep.checkpoint, *processes, *results)]
    kept = ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).get('save_best')
    if kept and cfg.get('val_dataloader') is not None:
        final = folder / f'best_{kept.replace("/", "_")}.pth'
    else:
        final = folder / f'epoch_{cfg["train_cfg"]["max_epochs"]}.pth'
    return [step('train', *processes, '--resume'), step('test', final, *processes, *results)]


def _rerank(sweep: Sweep, tests: dict[str, Step]) -> None:
    """Tests several k on one encoding, each pair scored once."""
    from stgt_mm.engine.cli import build_runner

    numbers = {value: sweep.parsed(value) for value in tests}
    if any(not isinstance(number, int) for number in numbers.values()):
        raise UserError(f'{RERANK_KEY}: whole numbers, not {", ".join(tests)}.')
    largest = f'{RERANK_KEY}={max(numbers.values())}'
    cfg = load_config(sweep.config, parse_overrides([*sweep.options, largest]))
    cfg.work_dir, cfg.launcher = str(sweep.folder / 'log'), 'none'
    cfg.resume, cfg.load_from, cfg.load_strict = False, str(sweep.checkpoint), True
    runner = build_runner(cfg)
    loop = runner.test_loop
    runner.call_hook('before_run')
    runner.load_or_resume()
    found = loop.sweep_rerank_k(loop.encode(), sorted(numbers.values()))
    for value, test in tests.items():
        protocol = {
            **loop.protocol,
            'rerank_k': min(numbers[value], max(loop.protocol['videos'], loop.protocol['texts'])),
            'config': sweep.config,
            'checkpoint': str(sweep.checkpoint),
        }
        write_results(sweep.point(value) / 'results.json', found[numbers[value]], protocol)
        write_marker(test.marker, test.made_from)
