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
    """Says which metrics to show; None takes R@1 and R-mean of both directions.

    Raises ``UserError`` if a point of :func:`run_sweep` lacks one.
    """
    known = [key for key in points[0]['metrics'] if all(key in point['metrics'] for point in points)]
    if metrics is None:
        return [key for key in known if _DEFAULT_METRICS.fullmatch(key)] or known[:4]
    for key in metrics:
        if key not in known:
            raise UserError(f"the tests have no metric '{key}'. {did_you_mean(key, known)}")
    return list(metrics)


def sweep_table(sweep: Sweep, points: Sequence[dict[str, Any]], metrics: Sequence[str]) -> str:
    """Writes a Markdown table; the paper's row stands below if the config names one that has numbers."""
    rows = [[point['value'], *(f'{point["metrics"][key]:.2f}' for key in metrics)] for point in points]
    paper = points[0].get('paper') or {}
    cells = [(paper.get(key.partition('/')[0]) or {}).get(key.partition('/')[2]) for key in metrics]
    if any(cell is not None for cell in cells):
        rows.append([f'paper ({paper.get("table") or paper["key"]})', *cells])
    return markdown_table([sweep.key.rpartition('.')[2], *metrics], rows)


def write_sweep(sweep: Sweep, points: Sequence[dict[str, Any]], metrics: Sequence[str]) -> list[Path]:
    """Writes ``sweep.json`` with everything, ``sweep.md`` and ``sweep.png`` with ``metrics``."""
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
        panels.setdefault(panel, {})[curve or key] = (places, [point['metrics'][key] for point in points])
    plot_panels(panels, files[2], sweep.key, ticks)
    return files


def _places(values: Sequence[Any]) -> tuple[list[float], dict[float, str] | None]:
    """Where values stand on the axis: at themselves, or side by side if they are words or grow by factors."""
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if numbers and max(map(abs, values)) < _WIDEST_RATIO * min((abs(v) for v in values if v), default=1):
        return [float(value) for value in values], None
    return [float(place) for place in range(len(values))], {float(i): str(v) for i, v in enumerate(values)}
