"""Features of long videos for a detector of actions: an array a file, and where its rows are in time."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from stgt_mm.apis.file_jobs import FileJob
from stgt_mm.evaluation.shares import autocast, refuse_nan
from stgt_mm.io.whole_file import whole_file
from stgt_mm.progress import ProgressLine
from stgt_mm.search.fingerprint import source_stamp
from stgt_mm.search.windows import Windows

Row = tuple[tuple[float, float], np.ndarray]  # start and end in seconds, features (C,)
Encode = Callable[[Sequence[str]], Iterable[tuple[int, list[Row] | str]]]


class Extraction(NamedTuple):
    """What was done, in files."""

    written: int
    unchanged: int
    broken: dict[str, str]  # why, by path; they have no features


def extract_features(
    paths: Sequence[str],
    windows: Windows,
    out: str | Path,
    made_from: Mapping[str, Any],
    encode: Encode,
) -> Extraction:
    """Writes ``<stem>.npy``, float32 (W, C), and ``<stem>.json`` of each file, for its W windows.

    ``encode`` yields the number of each file, when it is done, with the rows of :func:`mean_tokens` or why it
    cannot be read. The JSON has ``video``, ``windows`` (W pairs of start and end in seconds), ``seconds`` in
    all, and ``made_from``, which is to tell apart the features of two models. What is there of the same file,
    windows and model stays: a second call goes on. Two files with one stem are a ValueError.
    """
    targets: dict[str, Path] = {}
    for path in paths:
        targets[path] = Path(out) / f'{Path(path).stem}.npy'
    if len(set(targets.values())) < len(targets):
        stems = [target.stem for target in targets.values()]
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise ValueError(f"several files are called '{twice}', and so would be their features: rename them.")
    stamps, broken = {}, {}
    for path in paths:
        try:
            stamps[path] = {'file': source_stamp(path, {}, windows), **made_from}
        except OSError as error:
            broken[path] = error.strerror or str(error)
    todo = [path for path, stamp in stamps.items() if not _is_done(targets[path], stamp)]
    unreadable = len(broken)
    with ProgressLine('extracting features, files', len(todo)) as line:
        for number, found in encode(todo) if todo else ():
            path = todo[number]
            if isinstance(found, str):
                broken[path] = found
            else:
                _write(targets[path], path, found, stamps[path])
            line.advance(note=f'{len(broken)} cannot be read' if broken else '')
    written = len(todo) - (len(broken) - unreadable)
    return Extraction(written, len(stamps) - len(todo), broken)


def _is_done(target: Path, stamp: Mapping[str, Any]) -> bool:
    about = target.with_suffix('.json')
    there = target.is_file() and about.is_file()
    return there and json.loads(about.read_text(encoding='utf-8')).get('made_from') == stamp


def mean_tokens(model: nn.Module, batch: dict[str, Any], amp: torch.dtype | None) -> Iterator[Row]:
    """Makes the mean of the video tokens of each window of a batch, of any ``VideoEncoder``."""
    if batch['data_samples']:
        with autocast(model, amp):
            tokens = model.extract_tokens(model.data_preprocessor(batch, False)['inputs'])
        rows = refuse_nan(tokens.float().mean(dim=1).cpu(), 'features')
        yield from ((sample.span, row) for sample, row in zip(batch['data_samples'], rows.numpy()))


@dataclass(frozen=True)
class FeatureJob(FileJob):
    """Makes the rows of a file."""

    encode = staticmethod(mean_tokens)


def _write(target: Path, path: str, found: list[Row], stamp: Any) -> None:
    windows = [list(span) for span, _ in found]
    about = {'video': path, 'seconds': windows[-1][1], 'windows': windows, 'made_from': stamp}
    target.with_suffix('.json').unlink(missing_ok=True)  # the array and what it says are never of two runs
    with whole_file(target) as partial:
        np.save(partial, np.stack([row for _, row in found]))
    with whole_file(target.with_suffix('.json')) as partial:
        partial.write_text(json.dumps(about) + '\n', encoding='utf-8')
