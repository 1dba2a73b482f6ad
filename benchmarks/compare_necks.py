"""Compares variants of a model at equal time and at equal steps, with several seeds: the paper's necks.

Each training has one core. What is done is not done again: start the same command after an interruption.

Example:
    python benchmarks/compare_necks.py --minutes 60
    python benchmarks/compare_necks.py --rows graph --row '4 layers:model.neck.num_layers=4'
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from stgt_mm.engine.cli import described_parser, run_tool

TOOLS = Path(__file__).resolve().parents[1]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the options."""
    parser = described_parser(__doc__)
    parser.add_argument('--config', default='configs/moving_shapes/stgt_tiny.py', help='default %(default)s')
    parser.add_argument(
        '--rows', help="'paper' (necks and CSAL), 'graph' (layers, h, band) or 'none'; default paper"
    )
    parser.add_argument(
        '--row',
        action='append',
        default=[],
        metavar='NAME:SETTINGS',
        help="one more row, such as '2 layers:model.neck.num_layers=2'; +csal among the settings keeps CSAL",
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1], help='default 0 1')
    parser.add_argument(
        '--minutes', type=float, default=60.0, help='time for everything, default %(default)g'
    )
    parser.add_argument(
        '--probe-steps', type=int, help='steps that measure a row first, default three an epoch'
    )
    parser.add_argument('--work-dir', default='work_dirs/compare_necks', help='default %(default)s')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        action='extend',
        metavar='KEY=VALUE',
        help='settings for all rows',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the comparison, prints the tables, draws the picture."""
    args = parse_args(argv)
    from comparison import Comparison, run_comparison
    from comparison_report import collect, comparison_text, write_comparison
    from comparison_rows import ROW_SETS, parse_row

    from stgt_mm.utils import did_you_mean

    sets = {**ROW_SETS, 'none': ()}
    chosen = args.rows or 'paper'
    if chosen not in sets:
        raise ValueError(f"--rows '{chosen}'. {did_you_mean(chosen, sets)}")
    comparison = Comparison(
        config=args.config,
        rows=(*sets[chosen], *map(parse_row, args.row)),
        seeds=tuple(args.seeds),
        minutes=args.minutes,
        folder=Path(args.work_dir),
        options=tuple(args.cfg_options),
        probe_steps=args.probe_steps,
        tools=TOOLS,
    )
    content = collect(comparison, run_comparison(comparison))
    files = write_comparison(comparison, content)
    print(comparison_text(content))
    print('\nwritten: ' + '  '.join(map(str, files)))


if __name__ == '__main__':
    sys.exit(run_tool(main))
