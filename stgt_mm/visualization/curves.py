"""Loss and recall curves as PNG files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stgt_mm.io.whole_file import whole_file

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]

RECALL_KEYS = ('t2v/Rmean', 'v2t/Rmean', 't2v/R1', 'v2t/R1', 'sim_t2v/R1', 'sim_v2t/R1')


def plot_curves(
    series: Series, path: str | Path, title: str = '', xlabel: str = 'step', ylabel: str = ''
) -> Path:
    """Draws curves, by name equally many x and y values, into a PNG file without a display.

    Raises ``ValueError`` if there is no curve or one has unequal numbers of x and y.
    """
    if not series:
        raise ValueError(f'no curve to draw into {path}: the log holds none of the asked-for values.')
    figure = new_figure(7, 4)
    axes = figure.add_subplot()
    _draw(axes, series)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.legend(fontsize=8)
    return save_figure(figure, path)


def plot_panels(
    panels: Mapping[str, Series],
    path: str | Path,
    xlabel: str = 'step',
    ticks: Mapping[float, str] | None = None,
) -> Path:
    """Draws panels of curves by title into a PNG file; a name has the same colour in all of them.

    ``ticks`` are words at places of the x axes, instead of numbers. Raises ``ValueError`` if there is no
    panel, or one without a curve.
    """
    if not panels or not all(panels.values()):
        raise ValueError(f'no curve to draw into {path}: every panel needs one.')
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure = new_figure(5.5 * columns, 3.4 * rows)
    axes = None
    for place, (title, series) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(rows, columns, place, sharex=axes)
        _draw(axes, series, {name: f'C{names.index(name) % 10}' for name in series})
        axes.set(title=title, xlabel=xlabel)
        if ticks is not None:
            axes.set_xticks(list(ticks), list(ticks.values()))
        if len(names) > 1:
            axes.legend(fontsize=8)
    return save_figure(figure, path)


def new_figure(width: float, height: float) -> Any:
    """Makes an empty matplotlib figure, sized in inches of 120 pixels, that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: str | Path, **options: Any) -> Path:
    """Writes a figure as PNG, with options of ``savefig``; ``ValueError`` if the name ends otherwise."""
    path = Path(path)
    if path.suffix.lower() != '.png':
        raise ValueError(f"'{path}': pictures are PNG files, call it '{path.with_suffix('.png')}'.")
    with whole_file(path) as partial:
        figure.savefig(partial, **options)
    return path


def _draw(axes: Any, series: Series, colours: Mapping[str, str] | None = None) -> None:
    for name, (x, y) in series.items():
        if len(x) != len(y):
            raise ValueError(f"curve '{name}' has {len(x)} x values and {len(y)} y values.")
        colour = None if colours is None else colours[name]
        marker = 'o' if len(x) < 30 else None
        axes.plot(x, y, label=name, color=colour, marker=marker, markersize=3, linewidth=1.2)
    axes.grid(alpha=0.3)


def read_scalars(path: str | Path) -> dict[str, tuple[list[float], list[float]]]:
    """Reads the scalars of a run: ``metrics.jsonl`` of the work dir, or mmengine's ``vis_data/scalars.json``.

    Args:
        path: The file, one JSON object a line. A last line that was cut off (a killed run) is passed over.

    Returns:
        For each name the steps and the values, in order; a step that was logged again (a resumed run) counts
        once, with its last value.
    """
    values: dict[str, dict[float, float]] = {}
    for line in Path(path).read_text(encoding='utf-8').splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        step = entry.get('step', entry.get('iter'))
        if step is None:
            continue
        for name, value in entry.items():
            if name not in ('step', 'iter') and isinstance(value, (int, float)):
                values.setdefault(name.removeprefix('val/'), {})[step] = value
    return {name: (sorted(own), [own[step] for step in sorted(own)]) for name, own in values.items()}


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """Smooths a curve with the mean over the last ``window`` values up to each point."""
    parts = [values[max(0, end - window) : end] for end in range(1, len(values) + 1)]
    return [sum(part) / len(part) for part in parts]


def plot_run(scalars: str | Path, folder: str | Path) -> list[Path]:
    """Draws ``loss.png`` (a running mean over a percent of the run) and ``recall.png`` of a run.

    Args:
        scalars: The run's ``metrics.jsonl`` or ``scalars.json``.
        folder: Where to put the pictures.

    Returns:
        The files written; a kind of values that was not logged has none.
    """
    logged = read_scalars(scalars)
    losses = {name: logged[name] for name in sorted(logged) if name == 'loss' or name.startswith('loss_')}
    window = max(1, max((len(steps) for steps, _ in losses.values()), default=0) // 100)
    losses = {name: (steps, running_mean(values, window)) for name, (steps, values) in losses.items()}
    recalls = {name: logged[name] for name in RECALL_KEYS if name in logged}
    files = []
    if losses:
        files.append(plot_curves(losses, Path(folder) / 'loss.png', 'Training losses', ylabel='loss'))
    if recalls:
        files.append(plot_curves(recalls, Path(folder) / 'recall.png', 'Validation recall', ylabel='percent'))
    return files
