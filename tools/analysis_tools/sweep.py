"""Sweeps a key of a config, at test time or with a training each, and draws the curve.

A point that is done is not run again: start the same command once more after an interruption.

Example:
    python tools/analysis_tools/sweep.py configs/moving_shapes/stgt_tiny_vtc.py CHECKPOINT --figure 7a
    python tools/analysis_tools/sweep.py CONFIG CHECKPOINT --figure 12 --values 0 4 16 64
    python tools/analysis_tools/sweep.py CONFIG CHECKPOINT --key model.neck.num_frames --values 4 8 16
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from stgt_mm.engine.cli import add_config_options, described_parser, run_tool

TOOLS = Path(__file__).resolve().parents[1]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the options."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument('checkpoint', help='tested at each value; with training: where each one starts')
    parser.add_argument(
        '--figure',
        help='a sweep of the paper: 7a (h in testing), 7b (gamma, trains stage 2) or 12 (re-rank k)',
    )
    parser.add_argument('--key', help='what to sweep, such as model.neck.test_similarity_threshold')
    parser.add_argument(
        '--values', nargs='+', help='its values; with --figure instead of those of the figure'
    )
    parser.add_argument(
        '--train', action='store_true', help='train from the checkpoint at each value of --key'
    )
    parser.add_argument('--metrics', nargs='+', help='what to show; default: R@1 and R-mean, both directions')
    parser.add_argument('--processes', type=int, default=1, help='processes (GPUs) of each training and test')
    parser.add_argument('--work-dir', help='folder of the results, default work_dirs/sweep_<config>_<key>')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the sweep, prints the table, draws the curve."""
    args = parse_args(argv)
    from stgt_mm.analysis.sweep import FIGURES, Sweep, run_sweep
    from stgt_mm.analysis.sweep_report import choose_metrics, sweep_table, write_sweep
    from stgt_mm.utils import did_you_mean

    if (args.figure is None) == (args.key is None):
        raise ValueError('give --figure, or --key with --values.')
    if args.processes < 1:
        raise ValueError(f'--processes {args.processes}: at least 1.')
    if args.figure is not None:
        if args.figure not in FIGURES:
            raise ValueError(f"--figure '{args.figure}'. {did_you_mean(args.figure, FIGURES)}")
        if args.train:
            raise ValueError('--train goes with --key; a figure knows whether it trains.')
        figure = FIGURES[args.figure]
        print(f'Figure {args.figure}: {figure.what}')
        key, values, trains = figure.key, args.values or figure.values, figure.trains
    else:
        if not args.values:
            raise ValueError('--key needs --values.')
        key, values, trains = args.key, args.values, args.train
    name = f'sweep_{Path(args.config).stem}_{key.rpartition(".")[2]}'
    sweep = Sweep(
        config=args.config,
        key=key,
        values=tuple(values),
        checkpoint=Path(args.checkpoint),
        trains=trains,
        folder=Path(args.work_dir or Path('work_dirs') / name),
        options=tuple(args.cfg_options),
        processes=args.processes,
        tools=TOOLS,
    )
    points = run_sweep(sweep)
    metrics = choose_metrics(points, args.metrics)
    files = write_sweep(sweep, points, metrics)
    print(sweep_table(sweep, points, metrics))
    print('written: ' + '  '.join(map(str, files)))


if __name__ == '__main__':
    sys.exit(run_tool(main))
