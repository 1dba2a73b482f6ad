"""Annotation files as people write them: JSON lines, every mistake named by file and line."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stgt_mm.io.whole_file import whole_file

FORMAT = '{"video": "clips/v1.mp4", "text": "a caption"}'
BYTE_ORDER_MARK = b'\xef\xbb\xbf'
_GZIP = b'\x1f\x8b'
_UTF16 = (b'\xff\xfe', b'\xfe\xff')


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


def read_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads a JSON-lines file, a line at a time: pairs (line number from 1, object), no empty lines."""
    path = check_annotation(path)
    for number, _, row in parse_lines(path):
        yield number, row


def parse_lines(path: Path) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Like :func:`read_jsonl`, with the bytes of each line as well."""
    empty = True
    with path.open('rb') as lines:
        for number, raw in enumerate(lines, start=1):
            if not raw.isspace():
                empty = False
                yield number, raw, _parse(raw, path, number)
    if empty:
        raise AnnotationError(f"'{path}' holds no record. One JSON object a line is expected: {FORMAT}")


def _parse(raw: bytes, path: Path, number: int) -> dict[str, Any]:
    text = ''
    try:
        text = raw.removeprefix(BYTE_ORDER_MARK).decode().strip()
        row = json.loads(text)
        if b'\\u' in raw:  # half of a pair of escapes becomes a letter that no file can hold
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise AnnotationError(_not_utf8(error, path, number)) from error
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


def _not_utf8(error: UnicodeDecodeError, path: Path, number: int) -> str:
    if number == 1 and error.object.startswith(_GZIP):
        return f"{path}:1: the file is compressed. Unpack it: gunzip -c '{path}' > plain.jsonl"
    bad = error.object[error.start : error.start + 4]
    known = number == 1 and error.object.startswith(_UTF16)
    return (
        f'{path}:{number}: byte {error.start} of the line ({bad!r}) is not UTF-8. Convert the file, for '
        f"example: iconv -f {'utf-16' if known else 'latin1'} -t utf-8 '{path}' > fixed.jsonl"
    )


def write_records(records: Iterable[dict[str, Any]], path: str | Path) -> int:
    """Writes records as JSON lines, one at a time, whole or not at all; returns their number."""
    count = 0
    with whole_file(path) as partial, partial.open('w', encoding='utf-8', newline='\n') as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + '\n')
            count += 1
    return count
