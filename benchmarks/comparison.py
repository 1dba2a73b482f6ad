"""Variants of a model at equal time and at equal steps, several seeds each, one process a core."""

import contextlib
import io
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from budget import Budget, Cost, choose_budget, steps_in_time
from comparison_rows import CSAL, Row
from jobs import Job, ProgressLine, final_checkpoint, free_cores, python_tool, run_chains

from stgt_mm.analysis.logs import step_times
from stgt_mm.config import load_config, parse_overrides
from stgt_mm.engine.checkpoint.files import write_text
from stgt_mm.engine.hooks.metrics_file_hook import FILE_NAME, read_metrics
from stgt_mm.errors import UserError
from stgt_mm.io.hashing import config_sha256

# The first steps of a process allocate memory: they say nothing about the others.
WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Comparison:
    """What to compare.

    Attributes:
        config: Config file.
        rows: The variants.
        seeds: Seeds of each.
        minutes: Time for everything.
        folder: Where all results go.
        options: Further settings, the same for all.
        probe_steps: Steps a variant is measured with; None takes three an epoch.
        tools: The folder ``tools`` of the repository.
    """

    config: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    minutes: float
    folder: Path
    options: tuple[str, ...]
    probe_steps: int | None
    tools: Path

    def __post_init__(self) -> None:
        slugs = [row.slug for row in self.rows]
        if len(set(slugs)) != len(slugs) or '' in slugs:
            raise UserError(f'rows {", ".join(row.name for row in self.rows)}: each needs a name of its own.')
        if not self.rows or not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise UserError(f'{len(self.rows)} rows, seeds {self.seeds}: at least one each, none twice.')
        if self.minutes <= 0:
            raise UserError(f'--minutes {self.minutes}: a positive time.')
        least = 2 * max(self.epochs, WARM_UP_STEPS)
        if self.probe_steps is not None and self.probe_steps < least:
            raise UserError(f'--probe-steps {self.probe_steps}: at least {least}, two an epoch.')
        for row in self.rows:
            _load(self.config, tuple(self.settings(row, self.seeds[0], self.epochs)))

    @cached_property
    def base(self) -> Any:
        """The config with the options that all rows share."""
        return _load(self.config, self.options)

    @cached_property
    def epochs(self) -> int:
        """Epochs of a run: those of the config, shortened or stretched to the steps of the run."""
        return int(self.base.train_cfg.max_epochs)

    @property
    def waves(self) -> int:
        """Runs of a variant one after the other."""
        return math.ceil(len(self.seeds) / min(len(free_cores()), len(self.seeds)))

    def settings(self, row: Row, seed: int, steps: int) -> list[str]:
        """Lists the settings of a run.

        Args:
            row: The variant.
            seed: The seed.
            steps: Steps of the run, a multiple of ``epochs``.

        Returns:
            ``KEY=VALUE`` settings.
        """
        base = self.base
        samples = steps // self.epochs * int(base.train_dataloader.batch_size)
        settings = [
            *self.options,
            *_in_one_process(base),
            f'train_dataloader.sampler.samples_per_epoch={samples}',
            f'train_cfg.val_interval={self.epochs}',
            f'randomness.seed={seed}',
        ]
        if CSAL not in row.options:
            settings += _only_vtc(base)
        return settings + [option for option in row.options if option != CSAL]

    def run_folder(self, row: Row, seed: int, steps: int) -> Path:
        """Says where a run is.

        Args:
            row: The variant.
            seed: The seed.
            steps: Its steps.

        Returns:
            The folder.
        """
        return self.folder / 'runs' / row.slug / f'{steps}_steps_seed_{seed}'

    def chain(self, row: Row, seed: int, steps: int) -> list[Job]:
        """Makes the jobs of a run: train, test.

        Args:
            row: The variant.
            seed: The seed.
            steps: Its steps.

        Returns:
            The two jobs.
        """
        folder, settings = self.run_folder(row, seed, steps), self.settings(row, seed, steps)
        cfg = _load(self.config, tuple(settings))
        identity = config_sha256(cfg, ())
        options = ['--work-dir', folder, '--cfg-options', *settings]
        name = f'{row.name}, seed {seed}, {steps} steps'
        train = python_tool(self.tools / 'train.py', self.config, '--resume', *options)
        checkpoint = final_checkpoint(folder, cfg)
        out = ['--out', folder / 'results.json']
        test = python_tool(self.tools / 'test.py', self.config, checkpoint, *out, *options)
        return [
            Job(f'training of {name}', train, folder / 'train.json', identity),
            Job(f'test of {name}', test, folder / 'test.json', identity),
        ]

    def chains(self, row: Row, steps: int) -> list[list[Job]]:
        """Makes the jobs of all seeds.

        Args:
            row: The variant.
            steps: Steps of each run.

        Returns:
            Training and test of each seed.
        """
        return [self.chain(row, seed, steps) for seed in self.seeds]


@cache
def _load(config: str, settings: tuple[str, ...]) -> Any:
    # what a changed type drops is in the log of each run, once
    with contextlib.redirect_stdout(io.StringIO()):
        return load_config(config, parse_overrides(settings))


def _in_one_process(base: Any) -> list[str]:
    """Loads data in the process that trains: a run has one core. Frozen features come from a cache."""
    settings = []
    features = base.train_dataloader.dataset.get('feature_cache')
    loaders = {'train_dataloader': base.train_dataloader}
    loaders |= {name: base[name] for name in ('val_dataloader', 'test_dataloader') if base.get(name)}
    for name, loader in (base.test_cfg.get('choices') or {}).items():
        loaders[f'test_cfg.choices.{name}'] = loader
    for name, loader in loaders.items():
        settings += [f'{name}.num_workers=0', f'{name}.persistent_workers=False']
        if features and not loader.dataset.get('feature_cache'):
            settings.append(f'{name}.dataset.feature_cache={json.dumps(features.to_dict())}')
    return settings


def _only_vtc(base: Any) -> list[str]:
    settings = []
    for place, hook in enumerate(base.get('custom_hooks') or []):
        if str(hook['type']).rpartition('.')[2] == 'AlignmentStageHook' and 'stages' in hook:
            stages = [(epochs, 1.0) for epochs, _ in hook['stages']]
            settings.append(f'custom_hooks.{place}.stages={stages}')
    return settings


def run_comparison(comparison: Comparison) -> dict[str, Any]:
    """Measures what the variants cost, chooses the budget, and runs what is not done yet.

    Args:
        comparison: What to compare.

    Returns:
        The plan: ``seconds``, ``steps``, and by row's name its ``cost`` and ``steps_in_time``.
    """
    started = time.monotonic()
    _claim_folder(comparison)
    costs = _measure(comparison)
    budget = _fixed_budget(comparison, costs, started)
    plan = {
        **asdict(budget),
        'minutes': comparison.minutes,
        'rows': {
            row.name: {
                'cost': asdict(costs[row.name]),
                'steps_in_time': steps_in_time(budget, costs[row.name], comparison.epochs),
            }
            for row in comparison.rows
        },
    }
    waves = [
        (row, steps, comparison.chains(row, steps))
        for row in comparison.rows
        for steps in dict.fromkeys([plan['rows'][row.name]['steps_in_time'], budget.steps])
    ]
    left = [
        (costs[row.name].around + costs[row.name].step * steps) * comparison.waves
        if any(job.finished() is None for chain in chains for job in chain)
        else 0.0
        for row, steps, chains in waves
    ]
    for place, (row, steps, chains) in enumerate(waves):
        label = f'[{place + 1}/{len(waves)}] {row.name}, {steps} steps'
        _run_seeds(chains, ProgressLine(label, sum(left[place:])))
    return plan


def _measure(comparison: Comparison) -> dict[str, Cost]:
    """Runs every variant for a few steps, all seeds at once as later, after one that fills the caches."""
    rows, epochs = comparison.rows, comparison.epochs
    steps = (comparison.probe_steps or 3 * max(epochs, WARM_UP_STEPS)) // epochs * epochs
    filling = comparison.chains(rows[-1], epochs)[:1]
    run_chains(filling, free_cores()[:1], ProgressLine('filling the caches').tick)
    costs = {}
    for place, row in enumerate(rows):
        chains = comparison.chains(row, steps)
        _run_seeds(chains, ProgressLine(f'[{place + 1}/{len(rows)}] measuring {row.name}, {steps} steps'))
        costs[row.name] = _cost(
            [comparison.run_folder(row, seed, steps) for seed in comparison.seeds], chains
        )
    return costs


def _cost(folders: Sequence[Path], chains: Sequence[Sequence[Job]]) -> Cost:
    logs = [read_metrics(folder / FILE_NAME, with_times=True) for folder in folders]
    steps = [step_times(log, WARM_UP_STEPS).mean for log in logs]
    walls = [sum(job.finished()['seconds'] for job in chain) for chain in chains]
    around = [wall - step_times(log).total for wall, log in zip(walls, logs)]
    return Cost(max(steps), max(0.0, *around))


def _claim_folder(comparison: Comparison) -> None:
    """Stops if the folder belongs to a comparison with another config or time."""
    file = comparison.folder / 'comparison.json'
    own = {'config and options': config_sha256(comparison.base, ()), 'minutes': comparison.minutes}
    if file.is_file():
        known = json.loads(file.read_text(encoding='utf-8'))
        differing = [key for key, value in own.items() if known[key] != value]
        if differing:
            raise UserError(
                f"'{comparison.folder}' holds a comparison with another {' and another '.join(differing)} "
                f'(minutes {known["minutes"]:g}). Give another --work-dir, or remove that folder.'
            )
    comparison.folder.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(own, indent=2) + '\n')


def _fixed_budget(comparison: Comparison, costs: Mapping[str, Cost], started: float) -> Budget:
    """Chooses the budget, or takes the one that was chosen before an interruption."""
    file = comparison.folder / 'budget.json'
    if file.is_file():
        return Budget(**json.loads(file.read_text(encoding='utf-8')))
    rest = comparison.minutes * 60 - (time.monotonic() - started)
    # a tenth is kept for runs that take longer than they did when they were measured
    budget = choose_budget(costs, 0.9 * rest, comparison.waves, comparison.epochs)
    write_text(file, json.dumps(asdict(budget), indent=2) + '\n')
    return budget


def _run_seeds(chains: Sequence[Sequence[Job]], line: ProgressLine) -> None:
    """Runs the seeds of one variant at the same time: those that share memory are of one kind."""
    if not run_chains(chains, free_cores(), line.tick):
        line.say('done before')
    line.end()
