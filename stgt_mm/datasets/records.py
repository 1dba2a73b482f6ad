"""Annotation files: JSON lines, one (video, text) pair a line, read with every mistake named."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

FORMAT = '{"video": "clips/v1.mp4", "text": "a caption"}'


class AnnotationError(ValueError):
    """An annotation file that cannot be used; the message names file, line, value and cure."""


class MissingVideosError(FileNotFoundError):
    """Videos that an annotation file names and that are not below the video root."""


def read_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads a JSON-lines file.

    Args:
        path: UTF-8 file with one JSON object a line; empty lines are passed over.

    Yields:
        Pairs (line number, object), the number starting at 1.

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If a line is not UTF-8, not JSON or not an object, or no line holds anything.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no annotation file '{path}' (working directory {Path.cwd()}). Correct `ann_file`, or make one: "
            'tools/dataset_converters/custom.py for videos of your own, '
            'tools/dataset_converters/moving_shapes.py for Moving Shapes.'
        )
    empty = True
    with path.open('rb') as lines:
        for number, raw in enumerate(lines, start=1):
            text = _decode(raw, path, number).strip()
            if text:
                empty = False
                yield number, _parse(text, path, number)
    if empty:
        raise AnnotationError(f"'{path}' holds no record. One JSON object a line is expected: {FORMAT}")


def read_records(path: str | Path, required: Sequence[str] = ('video', 'text')) -> list[dict[str, Any]]:
    """Reads (video, text) records and completes their ids.

    Args:
        path: JSON-lines file. Keys: ``video`` (path below the video root), ``text``, optionally ``video_id``
            (default: the path without extension), ``text_id`` (default: ``<video_id>#<n>``) and any others.
        required: Keys that every line must have.

    Returns:
        The records in file order, each with ``video`` and ``video_id``, and ``text_id`` where there is a
        text.

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If a line is broken (see :func:`read_jsonl`), lacks a key, holds an empty or
            non-string value, repeats a (video_id, text_id), or gives one id two files or two texts.
    """
    path = Path(path)
    records: list[dict[str, Any]] = []
    seen = _Seen(path)
    for number, row in read_jsonl(path):
        # interned, or else each line keeps keys of its own
        record = {sys.intern(key): value for key, value in row.items()}
        _check_strings(record, required, path, number)
        record['video_id'] = str(record.get('video_id', PurePosixPath(record['video']).with_suffix('')))
        seen.add(record, number)
        records.append(record)
    return records


def check_videos(
    records: list[dict[str, Any]], root: str | Path, missing: str = 'error'
) -> tuple[list[dict[str, Any]], int]:
    """Looks for the video files before any work is done.

    Args:
        records: Records with a ``video`` path each.
        root: Folder that the paths are relative to.
        missing: ``'error'`` stops when a file is missing, ``'skip'`` leaves its records out, ``'keep'``
            leaves them in (evaluation that counts what it cannot read).

    Returns:
        The records to use, and the number of missing files.

    Raises:
        ValueError: If ``missing`` is none of the three.
        MissingVideosError: If all files are missing, or some are and ``missing`` is ``'error'``.
    """
    if missing not in ('error', 'skip', 'keep'):
        raise ValueError(f"missing='{missing}' is unknown. Use 'error', 'skip' or 'keep'.")
    root = Path(root)
    files = {record['video'] for record in records}
    absent = _absent_files(files, root)
    if not absent:
        return records, 0
    examples = ', '.join(str(root / file) for file in sorted(absent)[:3])
    if len(absent) == len(files):
        raise MissingVideosError(
            f"none of the {len(files)} videos is below video_root='{root}'. Looked for, among others: "
            f'{examples}. Correct `video_root`, or the `video` paths of the annotation file.'
        )
    if missing == 'error':
        raise MissingVideosError(
            f"{len(absent)} of {len(files)} videos are missing below video_root='{root}': {examples}"
            f"{', ...' if len(absent) > 3 else ''}. Fetch them, or go on without them: missing='skip' of the "
            'data set in training, skip_broken=True of the loop (tools/test.py --skip-broken) in evaluation.'
        )
    if missing == 'keep':
        return records, len(absent)
    return [record for record in records if record['video'] not in absent], len(absent)


def _absent_files(files: set[str], root: Path) -> set[str]:
    """Finds the missing files with one listing a folder: asking for each takes minutes on a network disk."""
    wanted: dict[Path, list[str]] = {}
    for file in files:
        wanted.setdefault((root / file).parent, []).append(file)
    absent = set()
    for folder, members in wanted.items():
        there: set[str] = set()
        if folder.is_dir():
            with os.scandir(folder) as entries:
                there = {entry.name for entry in entries if entry.is_file()}
        absent.update(file for file in members if PurePosixPath(file).name not in there)
    return absent


def write_records(records: Iterable[dict[str, Any]], path: str | Path) -> int:
    """Writes records as JSON lines, whole or not at all.

    Args:
        records: Objects that JSON can hold.
        path: File to write; its folder is made.

    Returns:
        The number of lines.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    partial = path.with_name(path.name + '.partial')
    partial.write_text(''.join(line + '\n' for line in lines), encoding='utf-8')
    partial.replace(path)
    return len(lines)


class _Seen:
    """What the lines before have said of each id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, tuple[str, int]] = {}
        self.texts: dict[str, tuple[str, int]] = {}
        self.pairs: dict[tuple[str, str], int] = {}
        self.counts: dict[str, int] = {}

    def add(self, record: dict[str, Any], number: int) -> None:
        video_id = record['video_id']
        self._agree(self.files, 'video_id', video_id, record['video'], number)
        if 'text' not in record:
            return
        count = self.counts.get(video_id, 0)
        self.counts[video_id] = count + 1
        text_id = record['text_id'] = str(record.get('text_id', f'{video_id}#{count}'))
        first = self.pairs.setdefault((video_id, text_id), number)
        if first != number:
            raise AnnotationError(
                f"{self.path}:{number}: video_id '{video_id}' with text_id '{text_id}' is already on line "
                f'{first}. Remove one of the two lines, or give the caption a text_id of its own.'
            )
        self._agree(self.texts, 'text_id', text_id, record['text'], number)

    def _agree(self, known: dict[str, tuple[str, int]], key: str, name: str, value: str, number: int) -> None:
        before, line = known.setdefault(name, (value, number))
        if before != value:
            raise AnnotationError(
                f"{self.path}:{number}: {key} '{name}' stands for {value!r} here and for {before!r} on line "
                f'{line}. Give each its own {key}.'
            )


def _decode(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode('utf-8-sig' if number == 1 else 'utf-8')
    except UnicodeDecodeError as error:
        bad = raw[error.start : error.start + 4]
        raise AnnotationError(
            f'{path}:{number}: byte {error.start} of the line ({bad!r}) is not UTF-8. Convert the file, for '
            f"example: iconv -f latin1 -t utf-8 '{path}' > fixed.jsonl"
        ) from error


def _parse(text: str, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f'{path}:{number}: not JSON ({error.msg} at column {error.colno}): {text[:80]!r}. '
            f'One object a line is expected: {FORMAT}'
        ) from error
    if not isinstance(row, dict):
        raise AnnotationError(
            f'{path}:{number}: {text[:80]!r} is not an object. One object a line is expected: {FORMAT}'
        )
    return row


def _check_strings(record: dict[str, Any], required: Sequence[str], path: Path, number: int) -> None:
    for key in required:
        if key not in record:
            raise AnnotationError(
                f"{path}:{number}: no '{key}' in {json.dumps(record, ensure_ascii=False)[:120]}. "
                f'Each line needs: {", ".join(required)}.'
            )
    for key in dict.fromkeys((*required, *('video', 'text', 'distractor'))):
        if key not in record:
            continue
        value = record[key]
        if not isinstance(value, str):
            raise AnnotationError(
                f"{path}:{number}: '{key}' is {value!r}, a text was expected. One caption a line: write "
                'several lines for several captions.'
            )
        if not any(letter.isalnum() for letter in value):
            raise AnnotationError(
                f"{path}:{number}: '{key}' is empty ({value!r}). Write it, or remove the line."
            )
