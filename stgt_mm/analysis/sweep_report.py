"""A finished sweep as JSON, table and picture."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stgt_mm.analysis.sweep import Sweep
from stgt_mm.analysis.tables import markdown_table
from stgt_mm.errors import UserError
from stgt_mm.evaluation.report import versions
from stgt_mm.utils import did_you_mean
from stgt_mm.visualization.curves import plot_panels

_DEFAULT_METRICS = re.compile(r'(sim_)?(t2v|v2t)\w*/(R1|Rmean)')
# A wider range than this is drawn with its values side by side.
_WIDEST_RATIO = 20


def choose_metrics(points: Sequence[dict[str, Any]], metrics: Sequence[str] | None = None) -> list[str]:
    """Says which metrics to show.

    Args:
        points: From :func:`run_sweep`.
        metrics: Wanted ones; None takes R@1 and R-mean of both directions.

    Returns:
        Keys that every point has.

    Raises:
        UserError: If one is not there.
    """
    known = [key for key in points[0]['metrics'] if all(key in point['metrics'] for point in points)]
    if metrics is None:
        return [key for key in known if _DEFAULT_METRICS.fullmatch(key)] or known[:4]
    for key in metrics:
        if key not in known:
            raise UserError(f"the tests have no metric '{key}'. {did_you_mean(key, known)}")
    return list(metrics)


def sweep_table(sweep: Sweep, points: Sequence[dict[str, Any]], metrics: Sequence[str]) -> str:
    """Writes the sweep as a table; the paper's row stands below if the config names one that has numbers.

    Args:
        sweep: What was swept.
        points: From :func:`run_sweep`.
        metrics: Columns.

    Returns:
        Markdown.
    """
    rows = [[point['value'], *(f'{point["metrics"][key]:.2f}' for key in metrics)] for point in points]
    paper = points[0].get('paper') or {}
    cells = [_paper_value(paper, key) for key in metrics]
    if any(cell is not None for cell in cells):
        rows.append([f'paper ({paper.get("table") or paper["key"]})', *cells])
    return markdown_table([sweep.key.rpartition('.')[2], *metrics], rows)


def _paper_value(paper: dict[str, Any], key: str) -> float | None:
    direction, _, name = key.partition('/')
    return (paper.get(direction) or {}).get(name)


def write_sweep(sweep: Sweep, points: Sequence[dict[str, Any]], metrics: Sequence[str]) -> list[Path]:
    """Writes ``sweep.json``, ``sweep.md`` and ``sweep.png``.

    Args:
        sweep: What was swept.
        points: From :func:`run_sweep`.
        metrics: What the table and the picture show; the JSON has everything.

    Returns:
        The files.
    """
    files = [sweep.folder / f'sweep.{ending}' for ending in ('json', 'md', 'png')]
    content = {
        'key': sweep.key,
        'config': sweep.config,
        'cfg_options': list(sweep.options),
        'checkpoint': str(sweep.checkpoint),
        'trained': sweep.trains,
        'versions': versions(),
        'points': list(points),
    }
    sweep.folder.mkdir(parents=True, exist_ok=True)
    files[0].write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
    files[1].write_text(sweep_table(sweep, points, metrics) + '\n', encoding='utf-8')
    places, ticks = _places([point['value'] for point in points])
    panels: dict[str, dict[str, Any]] = {}
    for key in metrics:
        curve, _, panel = key.rpartition('/')
        values = [point['metrics'][key] for point in points]
        panels.setdefault(panel, {})[curve or key] = (places, values)
    plot_panels(panels, files[2], sweep.key, ticks)
    return files


def _places(values: Sequence[Any]) -> tuple[list[float], dict[float, str] | None]:
    """Where values stand on the axis: at themselves, or side by side if they are words or grow by factors."""
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if numbers and max(map(abs, values)) < _WIDEST_RATIO * min((abs(v) for v in values if v), default=1):
        return [float(value) for value in values], None
    return [float(place) for place in range(len(values))], {float(i): str(v) for i, v in enumerate(values)}
