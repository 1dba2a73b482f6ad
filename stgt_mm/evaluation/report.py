"""The result of an evaluation, for people (a table) and for programs (JSON)."""

import json
import platform
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import mmengine
import torch

from stgt_mm.evaluation.paper_rows import PaperRow
from stgt_mm.io.hashing import config_sha256, file_sha256
from stgt_mm.io.whole_file import whole_file
from stgt_mm.version import __version__

DIRECTIONS = {'t2v': 'text -> video', 'v2t': 'video -> text'}
LABELS = {'R1': 'R@1', 'R5': 'R@5', 'R10': 'R@10', 'Rmean': 'R-mean'}
MOST_NAMED = 5
# backbones, text encoders and decoders: another version may give other tokens or frames
_INSTALLED = ('timm', 'transformers', 'av', 'decord')


def format_table(
    metrics: dict[str, float], protocol: dict[str, Any], paper_row: PaperRow | None = None
) -> str:
    """Writes the result as text: how it was measured, both directions, the paper's row, the choices by kind.

    Args:
        metrics: What ``RetrievalLoop.run`` returns.
        protocol: ``RetrievalLoop.protocol``.
        paper_row: Row of the paper to put beside the measured ones.

    Returns:
        Lines of plain text.
    """
    groups: dict[str, dict[str, float]] = defaultdict(dict)
    single: dict[str, float] = {}
    for key, value in metrics.items():
        group, _, name = key.rpartition('/')
        if group:
            groups[group][name] = value
        else:
            single[key] = value
    rankings = {name: values for name, values in groups.items() if 'Rmean' in values}
    choices = {name: values for name, values in groups.items() if 'accuracy' in values}
    parts = [_protocol_lines(protocol)]
    if rankings:
        parts.append(_ranking_lines(rankings, protocol, paper_row))
        parts.append(_note_lines(protocol, paper_row))
    if choices:
        parts.append(_choice_lines(choices))
    if single:
        parts.append([f'{name}: {value:g}' for name, value in single.items()])
    return '\n\n'.join('\n'.join(lines) for lines in parts if lines)


def write_results(
    path: str | Path,
    metrics: dict[str, float],
    protocol: dict[str, Any],
    cfg: Mapping[str, Any] | None = None,
    paper_row: PaperRow | None = None,
) -> None:
    """Writes the result as JSON: metrics, protocol, versions, hashes of checkpoint, config and annotations.

    Args:
        path: File to write; folders are made. It appears only when it is complete.
        metrics: What ``RetrievalLoop.run`` returns.
        protocol: ``RetrievalLoop.protocol``, and ``checkpoint`` (a path) if there is one.
        cfg: The config that was run.
        paper_row: Row of the paper that belongs to the setting.
    """
    result: dict[str, Any] = {'metrics': metrics, 'protocol': dict(protocol), 'versions': versions()}
    for name in ('checkpoint', 'annotation'):
        if protocol.get(name) and Path(protocol[name]).is_file():
            result[f'{name}_sha256'] = file_sha256(protocol[name])
    if cfg is not None:
        result['config_sha256'] = config_sha256(cfg)
    if paper_row is not None:
        result['paper'] = paper_row.as_dict()
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
    names = [
        name
        for name, value in protocol.items()
        if value not in (None, [], {}, '') and name != 'post_processing'
    ]
    width = max((len(name) for name in names), default=0)
    return [f'{name.replace("_", " "):<{width}}  {_plain(protocol[name])}' for name in names]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ', '.join(f'{key} {own}' for key, own in value.items())
    if isinstance(value, (list, tuple)):
        more = f' and {len(value) - MOST_NAMED} more' if len(value) > MOST_NAMED else ''
        return ', '.join(str(own) for own in value[:MOST_NAMED]) + more
    return str(value)


def _ranking_lines(
    rankings: dict[str, dict[str, float]], protocol: dict[str, Any], paper_row: PaperRow | None
) -> list[str]:
    columns = list(next(iter(rankings.values())))
    rows = [['', 'score', *(LABELS.get(name, name) for name in columns)]]
    for name, values in rankings.items():
        direction, label, score = _describe(name, protocol)
        rows.append([label, score, *(_number(column, values[column]) for column in columns)])
        if name == direction and paper_row is not None and direction in paper_row.values:
            rows.append([label, 'paper', *_paper_cells(paper_row, direction, columns)])
    return _aligned(rows)


def _describe(name: str, protocol: dict[str, Any]) -> tuple[str, str, str]:
    """Reads the name of a ranking: direction, label and kind of score."""
    score = str(protocol.get('score_fusion', 'fused'))
    if name.startswith('sim_') or score == 'itc':
        score = 'similarity'
    direction, *suffixes = name.removeprefix('sim_').split('_')
    known = [suffix for suffix in suffixes if suffix in protocol.get('post_processing', {})]
    gallery = [suffix for suffix in suffixes if suffix not in known]
    label = DIRECTIONS.get(direction, name) + (f' ({" ".join(gallery)})' if gallery else '')
    return direction, label, ' + '.join([score, *known])


def _paper_cells(row: PaperRow, direction: str, columns: list[str]) -> list[str]:
    printed, computed = row.values[direction], row.recomputed(direction)
    cells = [str(printed.get(column, '-')) for column in columns]
    if computed is not None and 'Rmean' in columns:
        mark = '' if row.follows(direction) else '!'
        cells[columns.index('Rmean')] = f'{mark}{computed:.2f}'
    return cells


def _note_lines(protocol: dict[str, Any], row: PaperRow | None) -> list[str]:
    lines = [f'{name}: {note}' for name, note in protocol.get('post_processing', {}).items()]
    if row is None:
        return lines
    where = ', '.join(part for part in (row.table, row.setting) if part)
    lines.append(f'paper: row {row.key}' + (f' ({where})' if where else ''))
    if not row.values:
        lines.append(
            'paper: its numbers are not in this package; put them in a JSON file and name it with '
            'test_evaluator.paper_tables'
        )
    return lines + [f'paper: ! {flag}' for flag in row.flags()]


def _choice_lines(choices: dict[str, dict[str, float]]) -> list[str]:
    rows = [['choice', 'kind', 'similarity', 're-ranked']]
    for name, values in choices.items():
        if name.startswith('fused_') and name.removeprefix('fused_') in choices:
            continue
        fused = choices.get(f'fused_{name}', {})
        for kind, value in values.items():
            number = f'{value:.0f}' if kind == 'skipped' else f'{value:.1f}'
            rows.append([name, kind, number, f'{fused[kind]:.1f}' if kind in fused else '-'])
    return _aligned(rows)


def _number(column: str, value: float) -> str:
    return f'{value:.2f}' if column in ('MdR', 'MnR') else f'{value:.1f}'


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [f'{cell:<{w}}' if i < 2 else f'{cell:>{w}}' for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append('  '.join(cells).rstrip())
    lines.insert(1, '-' * max(map(len, lines)))
    return lines
