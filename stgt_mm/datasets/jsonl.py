"""JSON lines: one object a line, read with every mistake named, written whole or not at all."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from stgt_mm.io.whole_file import whole_file

FORMAT = '{"video": "clips/v1.mp4", "text": "a caption"}'
_MARK = b'\xef\xbb\xbf'


class AnnotationError(ValueError):
    """An annotation file that cannot be used; the message names file, line, value and cure."""


def open_annotation(path: str | Path) -> BinaryIO:
    """Opens an annotation file.

    Args:
        path: The file.

    Returns:
        The open file, binary.

    Raises:
        FileNotFoundError: If there is no such file; the message says how to make one.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no annotation file '{path}' (working directory {Path.cwd()}). Correct `ann_file`, or make one: "
            'tools/dataset_converters/custom.py for videos of your own, '
            'tools/dataset_converters/moving_shapes.py for Moving Shapes; a public set has its own beside '
            'them: msrvtt.py (docs/datasets.md) or webvid.py (docs/pretraining_data.md).'
        )
    return path.open('rb')


def read_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads a JSON-lines file, a line at a time.

    Args:
        path: UTF-8 file with one JSON object a line; empty lines are passed over.

    Yields:
        Pairs (line number, object), the number starting at 1.

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If a line is not UTF-8, not JSON or not an object, or no line holds anything.
    """
    path = Path(path)
    empty = True
    with open_annotation(path) as lines:
        for number, raw in enumerate(lines, start=1):
            if not raw.isspace():
                empty = False
                yield number, parse_line(raw, path, number)
    if empty:
        raise no_record(path)


def no_record(path: Path) -> AnnotationError:
    """Makes the error of a file without records.

    Args:
        path: The file.

    Returns:
        The error.
    """
    return AnnotationError(f"'{path}' holds no record. One JSON object a line is expected: {FORMAT}")


def parse_line(raw: bytes, path: Path, number: int) -> dict[str, Any]:
    """Parses a line.

    Args:
        raw: The line; a byte-order mark at its start is passed over.
        path: Its file, for messages.
        number: Its number, for messages.

    Returns:
        The object.

    Raises:
        AnnotationError: If the line is not UTF-8, not JSON or not an object.
    """
    try:
        text = raw.removeprefix(_MARK).decode().strip()
        row = json.loads(text)
    except UnicodeDecodeError as error:
        bad = error.object[error.start : error.start + 4]
        raise AnnotationError(
            f'{path}:{number}: byte {error.start} of the line ({bad!r}) is not UTF-8. Convert the file, for '
            f"example: iconv -f latin1 -t utf-8 '{path}' > fixed.jsonl"
        ) from error
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


def write_records(records: Iterable[dict[str, Any]], path: str | Path) -> int:
    """Writes records as JSON lines, one at a time, whole or not at all.

    Args:
        records: Objects that JSON can hold.
        path: File to write; its folder is made.

    Returns:
        The number of lines.
    """
    count = 0
    with whole_file(path) as partial, partial.open('w', encoding='utf-8', newline='\n') as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + '\n')
            count += 1
    return count
