"""Compares variants of a model at equal time and at equal steps, with several seeds: the paper's necks.

Each training has one core. What is done is not done again: start the same command after an interruption.

Example:
    python benchmarks/compare_necks.py --minutes 60
    python benchmarks/compare_necks.py --rows graph --row '4 layers:model.neck.num_layers=4'
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comparison import CLOCK, Comparison, run_comparison
from rows import CSAL, Row

from stgt_mm.analysis.logs import step_times
from stgt_mm.analysis.tables import markdown_table
from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.engine.hooks.metrics_file_hook import FILE_NAME, read_metrics
from stgt_mm.evaluation.report import versions
from stgt_mm.utils import did_you_mean
from stgt_mm.visualization.curves import new_figure, save_figure

ROOT = Path(__file__).resolve().parents[1]
_NEITHER = ('model.neck.use_adjacency=False', 'model.neck.use_edge_weights=False')
# Source: STGT, Tables 2 and 3, and the average over time, which knows no order.
PAPER_ROWS = (
    Row('mean pool', ('model.neck.type=MeanPoolNeck',)),
    Row('CrossFrameNeck', ('model.neck.type=CrossFrameNeck',)),
    Row('neither A nor W_s', _NEITHER),
    Row('A only', ('model.neck.use_edge_weights=False',)),
    Row('full'),
    Row('full + CSAL', (CSAL,)),
)


def _threshold(h: float) -> Row:
    return Row(
        f'h {h}', (f'model.neck.similarity_threshold={h}', f'model.neck.test_similarity_threshold={h}')
    )


GRAPH_ROWS = (
    Row('neither A nor W_s', _NEITHER),
    Row('full'),
    Row('2 layers', ('model.neck.num_layers=2',)),
    Row('3 layers', ('model.neck.num_layers=3',)),
    _threshold(0.1),
    _threshold(0.3),
    _threshold(0.7),
    Row('band 2', ('model.neck.band=2',)),
    Row('band 7', ('model.neck.band=7',)),
)
# One clip encoder beside the other, and a dual encoder that averages frames.
ENCODER_ROWS = (
    Row('small CLIPModel', ('configs/moving_shapes/clip_tiny.py',)),
    *PAPER_ROWS[:2],
    Row('STGT'),
)
_WITHOUT = 'model.auxiliary_heads.{}=None'
# The order of S-ViLM's ablation, on configs/moving_shapes/s_vilm_tiny.py.
S_VILM_ROWS = (
    Row('contrast alone', ('model.auxiliary_heads=None',)),
    Row('+ grounding', (_WITHOUT.format('temporal_grouping'),)),
    Row('+ grouping', (_WITHOUT.format('noun_grounding'),)),
    Row('both'),
)
ROW_SETS = {'paper': PAPER_ROWS, 'graph': GRAPH_ROWS, 'encoders': ENCODER_ROWS, 's_vilm': S_VILM_ROWS}


def parse_row(text: str) -> Row:
    """Parses ``NAME:KEY=VALUE KEY=VALUE ...``; ``+csal`` and a config's path may be among the settings."""
    name, colon, options = text.partition(':')
    if not colon or not name.strip() or not options.strip():
        raise ValueError(f"--row '{text}': write NAME:KEY=VALUE, such as '2 layers:model.neck.num_layers=2'.")
    return Row(name.strip(), tuple(shlex.split(options)))


BUDGETS = {'time': 'equal time', 'steps': 'equal steps'}
RETRIEVAL = {
    't2v/R1': 't2v R@1',
    't2v/Rmean': 't2v R-mean',
    'v2t/R1': 'v2t R@1',
    'v2t/Rmean': 'v2t R-mean',
    'sim_t2v/R1': 't2v R@1 by similarity',
    'sim_t2v/Rmean': 't2v R-mean by similarity',
    'backwards/accuracy': 'backwards',
}
_CHOICE = 'one_fact/'
_SHOWN = ('t2v/R1', 't2v/Rmean', 'v2t/Rmean', 'backwards/accuracy')
_MARKS = {'time': 'o', 'steps': 's'}


def collect(comparison: Comparison, plan: dict[str, Any]) -> dict[str, Any]:
    """Gathers the results of all runs under the plan of :func:`run_comparison`.

    Returns:
        The plan, versions, and under ``results`` for each budget and row: ``steps``, ``seconds`` of training
        by seed, and ``metrics``, a list over the seeds by key.
    """
    results: dict[str, dict[str, Any]] = {}
    for budget in BUDGETS:
        results[budget] = {}
        for row in comparison.rows:
            steps = plan['rows'][row.name]['steps_in_time'] if budget == 'time' else plan['steps']
            folders = [comparison.run_folder(row, seed, steps) for seed in comparison.seeds]
            found = [json.loads((folder / 'results.json').read_text())['metrics'] for folder in folders]
            results[budget][row.name] = {
                'options': list(row.options),
                'steps': steps,
                'seconds': [_seconds(folder) for folder in folders],
                'metrics': {key: [own[key] for own in found] for key in found[0]},
            }
    return {
        'config': comparison.config,
        'cfg_options': list(comparison.options),
        'seeds': list(comparison.seeds),
        'plan': plan,
        'versions': versions(),
        'results': results,
    }


def _seconds(folder: Path) -> float | None:
    times = step_times(read_metrics(folder / FILE_NAME, with_times=True), clock=CLOCK)
    return None if times is None else times.total


def mean_and_spread(values: Sequence[float]) -> str:
    """Writes the mean and half of the distance between the largest and the smallest: ``51.2 ± 0.8``."""
    mean = f'{sum(values) / len(values):.1f}'
    return mean if len(values) < 2 else f'{mean} ± {(max(values) - min(values)) / 2:.1f}'


def comparison_text(content: dict[str, Any]) -> str:
    """Writes Markdown: for each budget a table of retrieval and one of the kinds of facts."""
    seeds = content['seeds']
    spread = ', ± half of the distance between the seeds' if len(seeds) > 1 else ''
    parts = [
        f'`{content["config"]}`, {len(seeds)} seeds ({", ".join(map(str, seeds))}), '
        f'one core a run. Percent: mean over the seeds{spread}.'
    ]
    for budget, title in BUDGETS.items():
        rows = content['results'][budget]
        amount = (
            f'{content["plan"]["seconds"]:.0f} s of training each, as planned from measured steps'
            if budget == 'time'
            else f'{content["plan"]["steps"]} steps each'
        )
        parts.append(f'**{title.capitalize()}: {amount}**')
        # similarity alone is what a model without re-ranking ranks by
        known = {key: None for own in rows.values() for key in own['metrics']}
        parts.append(_table(rows, {key: label for key, label in RETRIEVAL.items() if key in known}, True))
        kinds = {key: key.removeprefix(_CHOICE) for key in known if key.startswith(_CHOICE)}
        kinds.pop(f'{_CHOICE}skipped', None)
        if kinds:
            parts.append(_table(rows, kinds, False))
    return '\n\n'.join(parts)


def _cell(metrics: dict[str, list[float]], key: str) -> str:
    values = metrics.get(key, metrics.get(key.removeprefix('sim_')))
    return '-' if values is None else mean_and_spread(values)


def _table(rows: dict[str, Any], columns: dict[str, str], with_cost: bool) -> str:
    lines = []
    for name, own in rows.items():
        seconds = [value for value in own['seconds'] if value is not None]
        cost = [own['steps'], mean_and_spread([value / 60 for value in seconds]) if seconds else None]
        cells = [_cell(own['metrics'], key) for key in columns]
        lines.append([name, *(cost if with_cost else []), *cells])
    return markdown_table(['', *(['steps', 'min'] if with_cost else []), *columns.values()], lines)


def plot_comparison(content: dict[str, Any], path: str | Path) -> Path:
    """Draws rows against metrics: a mark at the mean, a line from the worst seed to the best."""
    names = list(content['results']['time'])
    known = content['results']['time'][names[0]]['metrics']
    shown = [key for key in _SHOWN if key in known]
    if not shown:
        raise ValueError(f'the tests have none of {", ".join(_SHOWN)}: nothing to draw.')
    figure = new_figure(1.6 + 2.4 * len(shown), 1.2 + 0.42 * len(names))
    axes = None
    for place, key in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), place + 1, sharey=axes)
        for shift, (budget, title) in zip((-0.13, 0.13), BUDGETS.items(), strict=True):
            values = [content['results'][budget][name]['metrics'][key] for name in names]
            at = [index + shift for index in range(len(names))]
            colour = f'C{list(BUDGETS).index(budget)}'
            axes.hlines(at, [min(own) for own in values], [max(own) for own in values], color=colour)
            means = [sum(own) / len(own) for own in values]
            axes.plot(means, at, _MARKS[budget], color=colour, markersize=5, label=title)
        axes.set(title=RETRIEVAL[key], xlabel='percent')
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(labelleft=place == 0)
        axes.grid(alpha=0.3)
    axes.invert_yaxis()
    figure.legend(*axes.get_legend_handles_labels(), loc='outside lower center', ncols=2, fontsize=8)
    return save_figure(figure, path)


def write_comparison(comparison: Comparison, content: dict[str, Any]) -> list[Path]:
    """Writes ``necks.json``, ``necks.md`` and ``necks.png``."""
    files = [comparison.folder / f'necks.{ending}' for ending in ('json', 'md', 'png')]
    files[0].write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
    files[1].write_text(comparison_text(content) + '\n', encoding='utf-8')
    plot_comparison(content, files[2])
    return files


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the options."""
    parser = described_parser(__doc__)
    parser.add_argument('--config', default='configs/moving_shapes/stgt_tiny.py', help='default %(default)s')
    parser.add_argument(
        '--rows',
        help="'paper' (necks and CSAL), 'graph' (layers, h, band), 'encoders' (two necks, STGT and a small "
        "CLIPModel), 's_vilm' (losses of s_vilm_tiny.py) or 'none'; default paper",
    )
    parser.add_argument(
        '--row',
        action='append',
        default=[],
        metavar='NAME:SETTINGS',
        help="one more row, such as '2 layers:model.neck.num_layers=2'; +csal among the settings keeps CSAL, "
        'a config among them takes the place of --config',
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
        tools=ROOT / 'tools',
    )
    content = collect(comparison, run_comparison(comparison))
    files = write_comparison(comparison, content)
    print(comparison_text(content))
    print('\nwritten: ' + '  '.join(map(str, files)))


if __name__ == '__main__':
    sys.exit(run_tool(main))
