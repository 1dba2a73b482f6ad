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

from jobs import Job, ProgressLine, final_checkpoint, free_cores, python_tool, run_chains, write_json
from rows import CSAL, Row

from stgt_mm.analysis.logs import step_times
from stgt_mm.config import load_config, parse_overrides
from stgt_mm.engine.hooks.metrics_file_hook import FILE_NAME, read_metrics
from stgt_mm.errors import UserError
from stgt_mm.io.hashing import config_sha256

# A run is one process on one core: the CPU's clock has its time even if others use that core.
CLOCK = 'cpu_time'

# The first steps of a process allocate memory: they say nothing about the others.
WARM_UP_STEPS = 3

# Fewer steps an epoch leave nothing of a curriculum and of schedules: such runs compare nothing.
LEAST_STEPS = 8

# Two steps whose times differ by less cannot be told apart on a machine that does other things too.
SAME = 0.05


@dataclass(frozen=True)
class Cost:
    """What a variant costs in seconds: a step, and all around them (start, validation, test)."""

    step: float
    around: float


@dataclass(frozen=True)
class Budget:
    """Seconds of training, and the steps that the slowest variant, at ``slowest`` a step, does in them."""

    seconds: float
    steps: int
    slowest: float


def choose_budget(costs: Mapping[str, Cost], seconds: float, waves: int, epochs: int) -> Budget:
    """Chooses the longest training time that leaves room for all runs.

    A variant runs once for the time and once for the steps; those as slow as the slowest do both in one run.
    With t_r the seconds of a step, o_r what is around it and t the slowest step, the runs take
    ``waves * sum_r (T + o_r) + waves * sum_{r faster} (T * t_r / t + o_r)``.

    ``waves`` are a variant's runs one after the other. A time too short for ``LEAST_STEPS`` an epoch is a
    ValueError.
    """
    longest = max(cost.step for cost in costs.values())
    faster = [cost for cost in costs.values() if not _as_slow(cost, longest)]
    around = sum(cost.around for cost in costs.values()) + sum(cost.around for cost in faster)
    share = len(costs) + sum(cost.step / longest for cost in faster)
    own = (seconds / waves - around) / share
    least = LEAST_STEPS * epochs
    if own < longest * least:
        needed = waves * (around + longest * least * share)
        raise ValueError(
            f'{seconds / 60:.1f} min are too short for {len(costs)} variants: start and test take '
            f'{waves * around / 60:.1f} min, and {least} steps each bring it to {needed / 60:.1f} min. '
            'Raise --minutes, or compare fewer variants.'
        )
    return Budget(own, whole_steps(own / longest, epochs), longest)


def whole_steps(steps: float, epochs: int) -> int:
    """Rounds a number of steps to a multiple of the epochs, at least one in each."""
    return max(1, round(steps / epochs)) * epochs


def steps_in_time(budget: Budget, cost: Cost, epochs: int) -> int:
    """Says how many steps a variant does at equal time; the equal steps where one run serves both."""
    return budget.steps if _as_slow(cost, budget.slowest) else whole_steps(budget.seconds / cost.step, epochs)


def _as_slow(cost: Cost, slowest: float) -> bool:
    # a variant that joins later may be slower than the slowest of those that fixed the budget
    return max(slowest, cost.step) <= (1 + SAME) * min(slowest, cost.step)


@dataclass(frozen=True)
class Comparison:
    """A config, its variants, seeds of each, minutes for everything, and where results go.

    ``options`` are settings for all; ``probe_steps`` measure a variant, None takes three an epoch.
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
            own = _load(row.config or self.config, tuple(self.settings(row, self.seeds[0], self.epochs)))
            if own.train_cfg.max_epochs != self.epochs:
                raise UserError(f'{row.config} has {own.train_cfg.max_epochs} epochs, not {self.epochs}.')

    @cached_property
    def base(self) -> Any:
        """The config with the options that all rows share."""
        return _load(self.config, self.options)

    @cached_property
    def epochs(self) -> int:
        """Epochs of a run: as in the config, of as many steps as the run has."""
        return int(self.base.train_cfg.max_epochs)

    @property
    def waves(self) -> int:
        """Runs of a variant one after the other."""
        return math.ceil(len(self.seeds) / min(len(free_cores()), len(self.seeds)))

    def settings(self, row: Row, seed: int, steps: int) -> list[str]:
        """Lists the ``KEY=VALUE`` settings of a run; ``steps`` is a multiple of ``epochs``."""
        base = _load(row.config or self.config, self.options)
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
        return settings + [option for option in row.options if option not in (CSAL, row.config)]

    def run_folder(self, row: Row, seed: int, steps: int) -> Path:
        """Says where a run is."""
        return self.folder / 'runs' / row.slug / f'{steps}_steps_seed_{seed}'

    def chains(self, row: Row, steps: int) -> list[list[Job]]:
        """Makes training and test of each seed."""
        chains, config = [], row.config or self.config
        for seed in self.seeds:
            folder, settings = self.run_folder(row, seed, steps), self.settings(row, seed, steps)
            cfg = _load(config, tuple(settings))
            identity = config_sha256(cfg, ())
            options = ['--work-dir', folder, '--cfg-options', *settings]
            name = f'{row.name}, seed {seed}, {steps} steps'
            train = python_tool(self.tools / 'train.py', config, '--resume', *options)
            given = [final_checkpoint(folder, cfg), '--out', folder / 'results.json', *options]
            test = python_tool(self.tools / 'test.py', config, *given)
            jobs = [('training', train, 'train.json'), ('test', test, 'test.json')]
            chains.append([Job(f'{kind} of {name}', run, folder / end, identity) for kind, run, end in jobs])
        return chains


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

    Returns:
        The plan: ``seconds``, ``steps``, and by row's name its ``cost`` and ``steps_in_time``.
    """
    started = time.monotonic()
    claim_folder(comparison)
    costs = _measure(comparison)
    budget = _fixed_budget(comparison, costs, started)
    rows = {
        name: {'cost': asdict(cost), 'steps_in_time': steps_in_time(budget, cost, comparison.epochs)}
        for name, cost in costs.items()
    }
    plan = {**asdict(budget), 'minutes': comparison.minutes, 'rows': rows}
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
    # by a row of the comparison's config: another model may cache nothing
    filling = comparison.chains(max(rows, key=lambda row: row.config is None), epochs)[:1]
    run_chains(filling, free_cores()[:1], ProgressLine('filling the caches').tick)
    costs = {}
    for place, row in enumerate(rows):
        chains = comparison.chains(row, steps)
        _run_seeds(chains, ProgressLine(f'[{place + 1}/{len(rows)}] measuring {row.name}, {steps} steps'))
        folders = [comparison.run_folder(row, seed, steps) for seed in comparison.seeds]
        logs = [read_metrics(folder / FILE_NAME, with_times=True) for folder in folders]
        walls = [sum(job.finished()['seconds'] for job in chain) for chain in chains]
        around = [wall - step_times(log).total for wall, log in zip(walls, logs)]
        step = max(step_times(log, WARM_UP_STEPS, CLOCK).mean for log in logs)
        costs[row.name] = Cost(step, max(0.0, *around))
    return costs


def claim_folder(comparison: Comparison) -> None:
    """Stops if the folder belongs to a comparison with another config, time or clock."""
    file = comparison.folder / 'comparison.json'
    own = {
        'config and options': config_sha256(comparison.base, ()),
        'minutes': comparison.minutes,
        'clock': CLOCK,
    }
    if file.is_file():
        known = json.loads(file.read_text(encoding='utf-8'))
        differing = [key for key, value in own.items() if known.get(key) != value]
        if differing:
            raise UserError(
                f"'{comparison.folder}' holds a comparison with another {' and another '.join(differing)} "
                f'(minutes {known["minutes"]:g}). Give another --work-dir, or remove that folder.'
            )
    write_json(file, own)


def _fixed_budget(comparison: Comparison, costs: Mapping[str, Cost], started: float) -> Budget:
    """Chooses the budget, or takes the one that was chosen before an interruption."""
    file = comparison.folder / 'budget.json'
    if file.is_file():
        return Budget(**json.loads(file.read_text(encoding='utf-8')))
    rest = comparison.minutes * 60 - (time.monotonic() - started)
    # a tenth is kept for runs that take longer than they did when they were measured
    budget = choose_budget(costs, 0.9 * rest, comparison.waves, comparison.epochs)
    write_json(file, asdict(budget))
    return budget


def _run_seeds(chains: Sequence[Sequence[Job]], line: ProgressLine) -> None:
    """Runs the seeds of one variant at the same time: those that share memory are of one kind."""
    if not run_chains(chains, free_cores(), line.tick):
        line.say('done before')
    line.end()
