"""Features of long videos for a detector of actions: an array a file, and where its rows are in time."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from stgt_mm.apis.moments import MomentStream, encode_files
from stgt_mm.evaluation.shares import autocast, refuse_nan
from stgt_mm.io.whole_file import whole_file
from stgt_mm.progress import ProgressLine
from stgt_mm.search.fingerprint import file_stamp


class Extraction(NamedTuple):
    """What was done, in files."""

    written: int
    unchanged: int
    broken: dict[str, str]  # why, by path; they have no features


def extract_features(
    model: nn.Module,
    stream: MomentStream,
    out: str | Path,
    made_from: Mapping[str, Any],
    batch_size: int,
    num_workers: int,
    amp: torch.dtype | None,
) -> Extraction:
    """Writes ``<stem>.npy``, float32 (W, C), and ``<stem>.json`` of each file, for its W windows.

    A row is the mean of a window's video tokens, of any ``VideoEncoder``. The JSON has ``video``, ``windows``
    (W pairs of start and end in seconds), ``seconds`` in all, and ``made_from``, which is to tell apart the
    features of two models. What is there of the same file, windows and model stays: a second call goes on.
    Two files with one stem are a ValueError.
    """
    targets: dict[str, Path] = {}
    for path in stream.paths:
        targets[path] = Path(out) / f'{Path(path).stem}.npy'
    if len(set(targets.values())) < len(targets):
        stems = [target.stem for target in targets.values()]
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise ValueError(f"several files are called '{twice}', and so would be their features: rename them.")
    stamps, broken = {}, {}
    for path in stream.paths:
        try:
            stamps[path] = {'file': file_stamp(path, {}, stream.windows), **made_from}
        except OSError as error:
            broken[path] = error.strerror or str(error)
    paths = [path for path, stamp in stamps.items() if not _is_done(targets[path], stamp)]
    unreadable = len(broken)
    todo = MomentStream(stream.pipeline, paths, stream.windows)
    done = encode_files(model, todo, batch_size, num_workers, amp, _pooled) if paths else ()
    with ProgressLine('extracting features, files', len(paths)) as line:
        for number, found in done:
            path = paths[number]
            if isinstance(found, str):
                broken[path] = found
            else:
                _write(targets[path], path, found, stamps[path])
            line.advance(note=f'{len(broken)} cannot be read' if broken else '')
    written = len(paths) - (len(broken) - unreadable)
    return Extraction(written, len(stamps) - len(paths), broken)


def _is_done(target: Path, stamp: Mapping[str, Any]) -> bool:
    about = target.with_suffix('.json')
    there = target.is_file() and about.is_file()
    return there and json.loads(about.read_text(encoding='utf-8')).get('made_from') == stamp


def _pooled(
    model: nn.Module, batch: dict[str, Any], amp: torch.dtype | None
) -> Iterator[tuple[tuple[float, float], Tensor]]:
    if batch['data_samples']:
        with autocast(model, amp):
            tokens = model.extract_tokens(model.data_preprocessor(batch, False)['inputs'])
        rows = refuse_nan(tokens.float().mean(dim=1).cpu(), 'features')
        yield from ((sample.span, row) for sample, row in zip(batch['data_samples'], rows))


def _write(target: Path, path: str, found: list[tuple[tuple[float, float], Tensor]], stamp: Any) -> None:
    windows = [list(span) for span, _ in found]
    about = {'video': path, 'seconds': windows[-1][1], 'windows': windows, 'made_from': stamp}
    target.with_suffix('.json').unlink(missing_ok=True)  # the array and what it says are never of two runs
    with whole_file(target) as partial:
        np.save(partial, torch.stack([row for _, row in found]).numpy())
    with whole_file(target.with_suffix('.json')) as partial:
        partial.write_text(json.dumps(about) + '\n', encoding='utf-8')
