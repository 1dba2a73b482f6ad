"""Last step of evaluation: the result for people (tables) and for programs (JSON)."""

import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine.evaluator import BaseMetric
from mmengine.runner import BaseLoop

from stgt_mm.evaluation.paper_rows import PaperRow
from stgt_mm.evaluation.tables import Groups, aligned, caption_choice_table, value_table
from stgt_mm.io.hashing import config_sha256, file_sha256
from stgt_mm.io.whole_file import whole_file
from stgt_mm.version import __version__

MOST_NAMED = 5
# backbones, text encoders and decoders: another version may give other tokens or frames
_INSTALLED = ('timm', 'transformers', 'open_clip_torch', 'av', 'decord')


def report_test(
    loop: BaseLoop, metrics: dict[str, float], told: dict[str, str], cfg: Any, out: str | None = None
) -> None:
    """Prints the result of a test of any task, and writes it as JSON if ``out`` is a path.

    A loop has ``evaluator`` and, to say how it measured, ``protocol``; ``told`` is added to it. A metric
    may have ``predictions``, a list of dicts that JSON can hold: they are written, not printed.
    """
    protocol = {**getattr(loop, 'protocol', {}), **told}
    measured_by = loop.evaluator.metrics
    print(format_report(metrics, protocol, measured_by))
    if out is not None:
        predictions = [row for metric in measured_by for row in getattr(metric, 'predictions', ())]
        write_results(out, metrics, protocol, cfg, first_paper_row(measured_by), predictions)
        print(f'written to {out}')


def format_report(
    metrics: dict[str, float], protocol: dict[str, Any], measured_by: Sequence[BaseMetric] = ()
) -> str:
    """Writes the result of any task as text: how it was measured, the tables, what stands in no table.

    ``metrics`` are ``<group>/<name>`` or ``<name>``. A metric that they were measured by may have ``table``,
    a function as described at :class:`~stgt_mm.evaluation.tables.Table`, and ``paper_row`` to go with it.
    """
    groups: Groups = {}
    single: dict[str, float] = {}
    for key, value in metrics.items():
        group, _, name = key.rpartition('/')
        if group:
            groups.setdefault(group, {})[name] = value
        else:
            single[key] = value
    own = [
        (metric.table, getattr(metric, 'paper_row', None))
        for metric in measured_by
        if hasattr(metric, 'table')
    ]
    parts = [_protocol_lines(protocol)]
    for make, row in [*own, (caption_choice_table, None), (value_table, first_paper_row(measured_by))]:
        table = make(groups, protocol, row)
        if table.shown:
            parts += [aligned(table.rows), table.notes]
            groups = {name: values for name, values in groups.items() if name not in table.shown}
    parts.append([f'{name}: {value:g}' for name, value in single.items()])
    return '\n\n'.join('\n'.join(lines) for lines in parts if lines)


def first_paper_row(metrics: Sequence[BaseMetric]) -> PaperRow | None:
    """Returns the row of the paper that one of the metrics names, if one does."""
    rows = (getattr(metric, 'paper_row', None) for metric in metrics)
    return next((row for row in rows if row is not None), None)


def write_results(
    path: str | Path,
    metrics: dict[str, float],
    protocol: dict[str, Any],
    cfg: Mapping[str, Any] | None = None,
    paper_row: PaperRow | None = None,
    predictions: Sequence[dict[str, Any]] = (),
) -> None:
    """Writes the result as JSON: metrics, protocol, versions, hashes of checkpoint, config and annotations.

    ``protocol`` is the loop's, with ``checkpoint`` (a path) if there is one.
    """
    result: dict[str, Any] = {'metrics': metrics, 'protocol': dict(protocol), 'versions': versions()}
    for name in ('checkpoint', 'annotation'):
        if protocol.get(name) and Path(protocol[name]).is_file():
            result[f'{name}_sha256'] = file_sha256(protocol[name])
    if cfg is not None:
        result['config_sha256'] = config_sha256(cfg)
    if paper_row is not None:
        result['paper'] = paper_row.as_dict()
    if predictions:
        result['predictions'] = list(predictions)
    with whole_file(path) as partial:
        partial.write_text(json.dumps(result, indent=2, default=str) + '\n', encoding='utf-8')


def versions() -> dict[str, str]:
    """Returns the versions that a number depends on; of packages that may be absent, those installed."""
    found = {
        'stgt_mm': __version__,
        'torch': torch.__version__,
        'mmengine': mmengine.__version__,
        'python': platform.python_version(),
    }
    for name in _INSTALLED:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _protocol_lines(protocol: dict[str, Any]) -> list[str]:
    # post-processing is explained below the table that shows it
    empty = (None, [], {}, '')
    names = [name for name, value in protocol.items() if value not in empty and name != 'post_processing']
    width = max((len(name) for name in names), default=0)
    return [f'{name.replace("_", " "):<{width}}  {_plain(protocol[name])}' for name in names]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ', '.join(f'{key} {own}' for key, own in value.items())
    if isinstance(value, (list, tuple)):
        more = f' and {len(value) - MOST_NAMED} more' if len(value) > MOST_NAMED else ''
        return ', '.join(str(own) for own in value[:MOST_NAMED]) + more
    return str(value)
