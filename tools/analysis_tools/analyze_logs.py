"""Draws curves of runs over each other, and says how long their steps took and which epoch was best.

Example:
    python tools/analysis_tools/analyze_logs.py work_dirs/stgt_tiny work_dirs/mean_pool --keys loss_vtc t2v/R1
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.engine.cli import described_parser, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the options."""
    parser = described_parser(__doc__)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='folders that hold a metrics.jsonl')
    parser.add_argument(
        '--keys', nargs='+', help='what to draw, a panel each; default: loss and R-mean of the validations'
    )
    parser.add_argument('--names', nargs='+', help='a name for each run, default: its folder')
    parser.add_argument(
        '--smooth',
        type=int,
        default=0,
        metavar='STEPS',
        help='running mean over steps; 0: a percent of the run',
    )
    parser.add_argument('--out', default='curves.png', help='picture to write, default %(default)s')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the tables and draws the picture."""
    args = parse_args(argv)
    from stgt_mm.analysis.logs import best_table, choose_keys, curves_of, load_runs, time_table
    from stgt_mm.visualization.curves import plot_panels

    if args.smooth < 0:
        raise ValueError(f'--smooth {args.smooth}: a number of steps, or 0.')
    runs = load_runs(args.work_dirs, args.names)
    keys = choose_keys(runs, args.keys)
    longest = max(len(steps) for run in runs for steps, _ in run.series.values())
    window = args.smooth or max(1, longest // 100)
    path = plot_panels({key: curves_of(runs, key, window) for key in keys}, args.out)
    print(time_table(runs))
    best = best_table(runs, keys)
    if best:
        print(f'\n{best}')
    print(f'\nsteps smoothed over {window}; drawn to {path}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
