"""Annotation files as people write them: JSON lines, every mistake named by file and line."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stgt_mm.io.whole_file import whole_file

FORMAT = '{"video": "clips/v1.mp4", "text": "a caption"}'
BYTE_ORDER_MARK = b'\xef\xbb\xbf'
# first bytes of a file, what they say, and the command that makes it readable
_OTHER_FORMS = (
    (b'\x1f\x8b', 'packed with gzip', "gunzip -c '{0}' > FILE"),
    (b'PK\x03\x04', 'a zip archive', "unzip '{0}'"),
    ((b'\xff\xfe', b'\xfe\xff'), 'UTF-16', "iconv -f utf-16 -t utf-8 '{0}' > FILE"),
)


class AnnotationError(ValueError):
    """An annotation file that cannot be used; the message names file, line, value and remedy."""


def check_annotation(path: str | Path, made_by: str | None = None) -> Path:
    """Returns the path of an annotation file; if there is none, the error says what makes it."""
    path = Path(path)
    if not path.is_file():
        makers = made_by or (
            'tools/dataset_converters/custom.py for videos of your own, '
            'tools/dataset_converters/moving_shapes.py for Moving Shapes; a public set has its own beside '
            'them: msrvtt.py (docs/datasets.md) or webvid.py (docs/pretraining_data.md)'
        )
        raise FileNotFoundError(
            f"no annotation file '{path}' (working directory {Path.cwd()}). Correct `ann_file`, or make one: "
            f'{makers}.'
        )
    return path


def check_form(path: Path) -> None:
    """Raises an error for a file of packed bytes or UTF-16."""
    with path.open('rb') as file:
        start = file.read(4)
    for marks, form, command in _OTHER_FORMS:
        if start.startswith(marks):
            raise AnnotationError(f'{path}:1: is {form}. Unpack or convert it: {command.format(path)}')


def decode(raw: bytes, place: str) -> str:
    """Decodes UTF-8; ``place`` begins the error message for what is none."""
    try:
        return raw.decode('utf-8')
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f'{place}: byte {error.start} ({raw[error.start : error.start + 4]!r}) is not UTF-8. Convert '
            'the file, for example: iconv -f cp1252 -t utf-8 FILE > FIXED'
        ) from error


def read_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads a JSON-lines file, a line at a time: pairs (line number from 1, object), no empty lines."""
    path = check_annotation(path)
    for number, _, row in parse_lines(path):
        yield number, row


def parse_lines(path: Path) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Like :func:`read_jsonl`, with the bytes of each line as well."""
    check_form(path)
    empty = True
    with path.open('rb') as lines:
        for number, raw in enumerate(lines, start=1):
            if not raw.isspace():
                empty = False
                yield number, raw, _parse(raw, path, number)
    if empty:
        raise AnnotationError(f"'{path}' holds no record. One JSON object a line is expected: {FORMAT}")


def _parse(raw: bytes, path: Path, number: int) -> dict[str, Any]:
    text = decode(raw.removeprefix(BYTE_ORDER_MARK), f'{path}:{number}').strip()
    try:
        row = json.loads(text)
        if b'\\u' in raw:  # half of a pair of escapes becomes a letter that no file can hold
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise AnnotationError(
            f'{path}:{number}: {half!r} is half of a character (a lone surrogate) in {text[:80]!r}. Remove '
            'it, or write the whole character.'
        ) from error
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f'{path}:{number}: not JSON ({error.msg} at column {error.colno}): {text[:80]!r}. '
            f'One object a line is expected: {FORMAT}'
        ) from error
    except (RecursionError, ValueError) as error:
        what = 'nested too deeply' if isinstance(error, RecursionError) else 'a number has too many digits'
        raise AnnotationError(
            f'{path}:{number}: {what} in {text[:80]!r}. One object a line is expected: {FORMAT}'
        ) from error
    if not isinstance(row, dict):
        raise AnnotationError(
            f'{path}:{number}: {text[:80]!r} is not an object. One object a line is expected: {FORMAT}'
        )
    return row


def write_records(records: Iterable[dict[str, Any]], path: str | Path) -> int:
    """Writes records as JSON lines, one at a time, whole or not at all; returns their number."""
    count = 0
    with whole_file(path) as partial, partial.open('w', encoding='utf-8', newline='\n') as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + '\n')
            count += 1
    return count
