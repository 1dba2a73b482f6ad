"""Variants of a model at a config's full length, over as many seeds as it takes: the paper's Table 2.

Each training has one core. A table is written after every seed, of the seeds that all rows have. Stop it at
any time: the same command goes on where it was.

Example:
    python benchmarks/compare_seeds.py --seeds 0 1 2 3 4 5
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from compare_necks import PAPER_ROWS, ROOT, parse_row
from comparison import Comparison, claim_folder
from jobs import ProgressLine, free_cores, run_chains, write_json

from stgt_mm.analysis.tables import markdown_table
from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.errors import UserError
from stgt_mm.evaluation.report import versions
from stgt_mm.utils import did_you_mean

RESAMPLES = 10_000


def bootstrap_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Returns the percentile interval of the mean under resampling of ``values``, always the same draws.

    Fewer than two values tell nothing about the spread: minus and plus infinity.
    """
    if len(values) < 2:
        return -math.inf, math.inf
    drawn = np.random.default_rng(0).choice(np.asarray(values), (RESAMPLES, len(values)))
    low, high = np.quantile(drawn.mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def with_interval(values: Sequence[float]) -> str:
    """Writes mean and interval: ``96.5 [96.0, 97.1]``."""
    mean = f'{sum(values) / len(values):.1f}'
    low, high = bootstrap_interval(values)
    return mean if math.isinf(low) else f'{mean} [{low:.1f}, {high:.1f}]'


def whole_length(comparison: Comparison) -> int:
    """Returns the steps of the config's own training."""
    loader = comparison.base.train_dataloader
    return comparison.epochs * (int(loader.sampler.samples_per_epoch) // int(loader.batch_size))


def seeds_table(results: dict[str, list[dict[str, float]]], columns: Sequence[str]) -> str:
    """Writes each row's means with 95% intervals, and how far its first column is from the last row's.

    ``results`` are metrics by row, a dict a seed, the same seeds in all: differences are taken seed by seed.
    """
    last = list(results.values())[-1]
    lines = []
    for name, found in results.items():
        cells = [with_interval([own[key] for own in found]) for key in columns]
        apart = [own[columns[0]] - other[columns[0]] for own, other in zip(found, last, strict=True)]
        lines.append([name, *cells, '' if found is last else with_interval(apart)])
    return markdown_table(['', *columns, f'{columns[0]} against the last row'], lines)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the options."""
    parser = described_parser(__doc__)
    parser.add_argument('--config', default='configs/moving_shapes/stgt_tiny.py', help='default %(default)s')
    parser.add_argument(
        '--row',
        action='append',
        metavar='NAME:SETTINGS',
        help='a row, as of compare_necks.py; default: neither A nor W_s, A only, full, full + CSAL',
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2, 3, 4, 5], help='default 0 to 5')
    parser.add_argument(
        '--metrics',
        nargs='+',
        default=['t2v/R1', 'sim_t2v/R1', 't2v/Rmean', 'v2t/R1', 'backwards/accuracy', 'one_fact/order_two'],
        help='columns; default %(default)s',
    )
    parser.add_argument('--work-dir', default='work_dirs/compare_seeds', help='default %(default)s')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='settings for all rows'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs seed after seed; writes ``seeds.json`` and ``seeds.md`` after each and prints the table."""
    args = parse_args(argv)
    comparison = Comparison(
        config=args.config,
        rows=tuple(map(parse_row, args.row)) if args.row else PAPER_ROWS[2:],
        seeds=tuple(args.seeds),
        minutes=math.inf,
        folder=Path(args.work_dir),
        options=tuple(args.cfg_options),
        probe_steps=None,
        tools=ROOT / 'tools',
    )
    run_seeds(comparison, args.metrics)


def run_seeds(comparison: Comparison, columns: Sequence[str]) -> None:
    """Trains and tests all rows with one seed after the other; ``UserError`` for an unknown column."""
    claim_folder(comparison)
    steps = whole_length(comparison)
    chains = [comparison.chains(row, steps) for row in comparison.rows]
    results: dict[str, list[dict[str, float]]] = {row.name: [] for row in comparison.rows}
    for place, seed in enumerate(comparison.seeds):
        line = ProgressLine(f'[{place + 1}/{len(comparison.seeds)}] seed {seed}, {steps} steps')
        run_chains([own[place] for own in chains], free_cores(), line.tick)
        line.end()
        for row in comparison.rows:
            file = comparison.run_folder(row, seed, steps) / 'results.json'
            found = json.loads(file.read_text(encoding='utf-8'))['metrics']
            if missing := [key for key in columns if key not in found]:
                raise UserError(f'--metrics {missing[0]}: {file} has none. {did_you_mean(missing[0], found)}')
            results[row.name].append(found)
        seeds = list(comparison.seeds[: place + 1])
        text = (
            f'`{comparison.config}`, {steps} steps, seeds {", ".join(map(str, seeds))}; '
            f'95% bootstrap intervals over the seeds.\n\n{seeds_table(results, columns)}\n'
        )
        content = {'steps': steps, 'seeds': seeds, 'versions': versions(), 'results': results}
        write_json(comparison.folder / 'seeds.json', content)
        (comparison.folder / 'seeds.md').write_text(text, encoding='utf-8')
        print(text, flush=True)


if __name__ == '__main__':
    sys.exit(run_tool(main))
