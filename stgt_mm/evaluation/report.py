"""The result of an evaluation, for people (a table) and for programs (JSON)."""

import hashlib
import json
import os
import platform
from collections import defaultdict
from pathlib import Path
from typing import Any

import mmengine
import torch

from stgt_mm.version import __version__

DIRECTIONS = {'t2v': 'text -> video', 'v2t': 'video -> text'}
LABELS = {'R1': 'R@1', 'R5': 'R@5', 'R10': 'R@10', 'Rmean': 'R-mean'}


def format_table(metrics: dict[str, float], protocol: dict[str, Any]) -> str:
    """Writes the result as text: how it was measured, both directions, the choices by kind.

    Args:
        metrics: What ``RetrievalLoop.run`` returns; percent for recalls and accuracies.
        protocol: ``RetrievalLoop.protocol``.

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
        parts.append(_ranking_lines(rankings, protocol))
    if choices:
        parts.append(_choice_lines(choices))
    if single:
        parts.append([f'{name}: {value:g}' for name, value in single.items()])
    return '\n\n'.join('\n'.join(lines) for lines in parts)


def write_results(path: str | Path, metrics: dict[str, float], protocol: dict[str, Any]) -> None:
    """Writes the result as JSON: metrics, protocol, versions, and the hash of the checkpoint.

    Args:
        path: File to write; folders are made. It appears only when it is complete.
        metrics: What ``RetrievalLoop.run`` returns.
        protocol: ``RetrievalLoop.protocol``, and ``checkpoint`` (a path) if there is one.
    """
    path = Path(path)
    result: dict[str, Any] = {'metrics': metrics, 'protocol': dict(protocol), 'versions': versions()}
    checkpoint = protocol.get('checkpoint')
    if checkpoint and Path(checkpoint).is_file():
        result['checkpoint_sha256'] = sha256_of(checkpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{path.name}.{os.getpid()}.part')
    partial.write_text(json.dumps(result, indent=2, default=str) + '\n', encoding='utf-8')
    partial.replace(path)


def versions() -> dict[str, str]:
    """Returns the versions that a number depends on."""
    return {
        'stgt_mm': __version__,
        'torch': torch.__version__,
        'mmengine': mmengine.__version__,
        'python': platform.python_version(),
    }


def sha256_of(path: str | Path) -> str:
    """Hashes a file.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with Path(path).open('rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _protocol_lines(protocol: dict[str, Any]) -> list[str]:
    names = [name for name, value in protocol.items() if value not in (None, [], {}, '')]
    width = max((len(name) for name in names), default=0)
    return [f'{name.replace("_", " "):<{width}}  {_plain(protocol[name])}' for name in names]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ', '.join(f'{key} {own}' for key, own in value.items())
    if isinstance(value, (list, tuple)):
        return ', '.join(str(own) for own in value)
    return str(value)


def _ranking_lines(rankings: dict[str, dict[str, float]], protocol: dict[str, Any]) -> list[str]:
    columns = list(next(iter(rankings.values())))
    rows = [['', 'score', *(LABELS.get(name, name) for name in columns)]]
    for name, values in rankings.items():
        score = 'similarity' if name.startswith('sim_') else protocol.get('score_fusion', 'fused')
        if score == 'itc':
            score = 'similarity'
        direction = next((key for key in DIRECTIONS if key in name), None)
        gallery = '' if direction is None else name.removeprefix('sim_').removeprefix(direction).strip('_')
        label = name if direction is None else DIRECTIONS[direction] + (f' ({gallery})' if gallery else '')
        rows.append([label, str(score), *(_number(column, values[column]) for column in columns)])
    return _aligned(rows)


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
