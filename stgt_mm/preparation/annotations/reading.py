"""Lists, tables and JSON as public sets have them, every mistake named by file and line."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stgt_mm.datasets import jsonl
from stgt_mm.datasets.jsonl import AnnotationError, check_form
from stgt_mm.preparation.annotations.notes import Notes

CUT_OFF = 'Fetch the file again: it may be cut off, or a web page.'
NOT_UTF8 = 'texts that are not UTF-8, read as Windows-1252'


def annotation_path(path: str | Path) -> Path:
    """Returns the path of a file that is there and holds neither packed bytes nor UTF-16."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no file '{path}' (working directory {Path.cwd()}). Correct the path, or fetch the file: "
            'docs/datasets.md and docs/pretraining_data.md say where from.'
        )
    check_form(path)
    return path


def read_lines(path: str | Path, notes: Notes | None = None) -> Iterator[tuple[int, str]]:
    """Yields line numbers, from 1, and lines without their end.

    With ``notes``, lines that are not UTF-8 are counted there and read as Windows-1252, which old annotation
    files are written in; without, they are an error.
    """
    path = annotation_path(path)
    with path.open('rb') as lines:
        for number, raw in enumerate(lines, start=1):
            raw = raw.removeprefix(b'\xef\xbb\xbf') if number == 1 else raw
            yield number, decode(raw.rstrip(b'\r\n'), f'{path}:{number}', notes)


def count_lines(path: str | Path) -> int:
    """Counts the line ends of a file, so that a display of progress knows the time left."""
    with annotation_path(path).open('rb') as file:
        return sum(block.count(b'\n') for block in iter(lambda: file.read(1 << 20), b''))


def decode(raw: bytes, place: str, notes: Notes | None = None) -> str:
    """Decodes UTF-8, or, with ``notes``, Windows-1252 where it is none."""
    try:
        return jsonl.decode(raw, place)
    except AnnotationError:
        if notes is None:
            raise
        notes.add(NOT_UTF8, place)
        return raw.decode('cp1252', errors='replace')


def read_text(path: str | Path) -> str:
    """Reads a whole UTF-8 file, its line ends as they are."""
    with annotation_path(path).open('rb') as lines:
        parts = [decode(raw, f'{path}:{number}') for number, raw in enumerate(lines, start=1)]
    return ''.join(parts).removeprefix('\ufeff')


def read_json(path: str | Path, kind: type, advice: str = CUT_OFF) -> Any:
    """Reads a JSON file that must hold an object (``dict``) or a list; ``advice`` ends an error message."""
    text = read_text(path)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f'{path}:{error.lineno}: not JSON ({error.msg} at column {error.colno}). {advice}'
        ) from error
    except (RecursionError, ValueError) as error:
        raise AnnotationError(f'{path}: {error}. {advice}') from error
    if not isinstance(content, kind):
        raise AnnotationError(
            f'{path}: holds {_type_names(type(content))}, {_type_names(kind)} was expected. '
            'Is this the right file?'
        )
    return content


def value_of(entry: Any, key: str, place: str, *kinds: type) -> Any:
    """Takes a value out of an object of a JSON file; it must be a text, or one of ``kinds``."""
    if not isinstance(entry, dict) or key not in entry:
        has = ', '.join(map(str, entry)) if isinstance(entry, dict) else repr(entry)[:80]
        raise AnnotationError(f"{place}: no '{key}'; there is: {has}. Is this the right file?")
    kinds = kinds or (str,)
    if not isinstance(entry[key], kinds):
        raise AnnotationError(
            f"{place}: '{key}' is {str(entry[key])[:80]!r}, {_type_names(*kinds)} was expected. Correct it."
        )
    return entry[key]


def _type_names(*kinds: type) -> str:
    names = {dict: 'an object', list: 'a list', str: 'a text', int: 'a number'}
    return ' or '.join(names.get(kind, kind.__name__) for kind in kinds)


def read_list(
    path: str | Path, header: str | None = None, name_of: Callable[[str], str] = str
) -> dict[str, tuple[int, str]]:
    """Reads a list with one entry a line, each name once.

    Returns for each name, ``name_of`` an entry, the line number and the entry; a first line ``header`` and
    empty lines are passed over.
    """
    entries: dict[str, tuple[int, str]] = {}
    for number, line in read_lines(path):
        entry = line.strip()
        if not entry or (number == 1 and entry == header):
            continue
        name = name_of(entry)
        if name in entries:
            first = entries[name][0]
            raise AnnotationError(f"{path}:{number}: '{name}' is already on line {first}. Remove one.")
        entries[name] = number, entry
    if not entries:
        raise AnnotationError(f"'{path}' holds no name. One a line is expected; fetch the file again.")
    return entries


def read_table(
    path: str | Path, columns: Sequence[str], notes: Notes | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Reads a comma-separated table row by row; columns are found by name in the header, others passed over.

    Yields the number of a row's last line, and its values. See :func:`read_lines` for ``notes``.
    """
    rows = csv.reader(line + '\n' for _, line in read_lines(path, notes))
    empty = True
    try:
        header = next(rows, [])
        lacking = [column for column in columns if column not in header]
        if lacking:
            raise AnnotationError(
                f"{path}:1: no column '{lacking[0]}' in the header {header}. Needed: {', '.join(columns)}. "
                'Is this the right file?'
            )
        places = [header.index(column) for column in columns]
        for row in filter(None, rows):
            if len(row) != len(header):
                raise AnnotationError(
                    f'{path}:{rows.line_num}: {len(row)} values under {len(header)} columns: '
                    f'{str(row)[:120]}. Correct the line; values with the separator in them stand in '
                    '"quotes".'
                )
            empty = False
            yield rows.line_num, {name: row[place] for name, place in zip(columns, places, strict=True)}
    except csv.Error as error:
        raise AnnotationError(
            f'{path}:{rows.line_num}: not a table ({error}). Look for a quote that is not closed.'
        ) from error
    if empty:
        raise AnnotationError(f"'{path}' holds a header and nothing else. Fetch the file again.")
