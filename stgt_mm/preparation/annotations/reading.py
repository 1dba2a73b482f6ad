"""Reading lists, tables and JSON line by line, with every mistake named."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.common import Notes

NOT_UTF8 = 'texts that are not UTF-8, read as Windows-1252'


def read_lines(path: str | Path, notes: Notes | None = None) -> Iterator[tuple[int, str]]:
    """Reads a text file line by line.

    Args:
        path: Text file; a byte order mark is passed over.
        notes: Where lines that are not UTF-8 are counted; they are then read as Windows-1252, which old
            annotation files are written in. Without it they are an error.

    Yields:
        Pairs (line number, line without its end), the number starting at 1.

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If a line is not UTF-8 and ``notes`` is None.
    """
    path = existing(path)
    with path.open('rb') as lines:
        for number, raw in enumerate(lines, start=1):
            raw = raw.removeprefix(b'\xef\xbb\xbf') if number == 1 else raw
            yield number, decode(raw.rstrip(b'\r\n'), f'{path}:{number}', notes)


def decode(raw: bytes, where: str, notes: Notes | None = None) -> str:
    """Decodes UTF-8, or Windows-1252 where it is none.

    Args:
        raw: Bytes.
        where: File and line, for messages.
        notes: Where bytes that are not UTF-8 are counted; without it they are an error.

    Returns:
        The text.

    Raises:
        AnnotationError: If the bytes are not UTF-8 and ``notes`` is None.
    """
    try:
        return raw.decode('utf-8')
    except UnicodeDecodeError as error:
        if notes is None:
            raise AnnotationError(
                f'{where}: byte {error.start} ({raw[error.start : error.start + 4]!r}) is not UTF-8. Convert '
                'the file, for example: iconv -f cp1252 -t utf-8 FILE > FIXED'
            ) from error
        notes.add(NOT_UTF8, where)
        return raw.decode('cp1252', errors='replace')


def read_list(path: str | Path, header: str | None = None) -> dict[str, int]:
    """Reads a list with one name a line.

    Args:
        path: UTF-8; empty lines are passed over.
        header: First line to pass over where the file has it.

    Returns:
        The line number of each name, names in file order.

    Raises:
        AnnotationError: If a name occurs twice or there is none.
    """
    seen: dict[str, int] = {}
    for number, line in read_lines(path):
        name = line.strip()
        if not name or (number == 1 and name == header):
            continue
        if name in seen:
            raise AnnotationError(f"{path}:{number}: '{name}' is already on line {seen[name]}. Remove one.")
        seen[name] = number
    if not seen:
        raise AnnotationError(f"'{path}' holds no name. One a line is expected; fetch the file again.")
    return seen


def read_table(
    path: str | Path, columns: Sequence[str], delimiter: str = ',', notes: Notes | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Reads a table with a header; columns are found by name, whatever their order.

    Args:
        path: CSV file, or TSV with another ``delimiter``; read line by line, so it may be large.
        columns: Names that the header must have; others are passed over.
        delimiter: One character.
        notes: See :func:`read_lines`.

    Yields:
        Pairs (line number, values of ``columns``); the number is that of the last line of the row.

    Raises:
        AnnotationError: If a column is not in the header, a row has fewer or more values than the header, or
            there is no row.
    """
    rows = csv.reader((line + '\n' for _, line in read_lines(path, notes)), delimiter=delimiter)
    header = _next_row(rows, path) or []
    lacking = [column for column in columns if column not in header]
    if lacking:
        raise AnnotationError(
            f"{path}:1: no column '{lacking[0]}' in the header {header}. Needed: {', '.join(columns)}. Is "
            'this the right file?'
        )
    places = [header.index(column) for column in columns]
    empty = True
    while (row := _next_row(rows, path)) is not None:
        if not row:
            continue
        if len(row) != len(header):
            raise AnnotationError(
                f'{path}:{rows.line_num}: {len(row)} values under {len(header)} columns: {str(row)[:120]}. '
                'Correct the line; values with the separator in them stand in "quotes".'
            )
        empty = False
        yield rows.line_num, {column: row[place] for column, place in zip(columns, places, strict=True)}
    if empty:
        raise AnnotationError(f"'{path}' holds a header and nothing else. Fetch the file again.")


def _next_row(rows: Any, path: str | Path) -> list[str] | None:
    try:
        return next(rows, None)
    except csv.Error as error:
        raise AnnotationError(
            f'{path}:{rows.line_num}: not a table ({error}). Look for a quote that is not closed.'
        ) from error


def read_json(path: str | Path, kind: type) -> Any:
    """Reads a JSON file.

    Args:
        path: UTF-8 file.
        kind: ``dict`` or ``list``: what it must hold.

    Returns:
        The object.

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If it is not UTF-8, not JSON, cut off, or of another kind.
    """
    path = existing(path)
    raw = path.read_bytes()
    try:
        content = json.loads(raw.decode('utf-8-sig'))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b'\n') + 1
        raise AnnotationError(
            f"{path}:{line}: not UTF-8. Fetch '{path.name}' again, or convert it."
        ) from error
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f'{path}:{error.lineno}: not JSON ({error.msg} at column {error.colno}). Fetch the file again: '
            'it may be cut off, or a web page.'
        ) from error
    if not isinstance(content, kind):
        raise AnnotationError(
            f'{path}: holds {_article(type(content))}, {_article(kind)} was expected. Is this the right file?'
        )
    return content


def _article(*kinds: type) -> str:
    names = {dict: 'an object', list: 'a list', str: 'a text', int: 'a number'}
    return ' or '.join(names.get(kind, kind.__name__) for kind in kinds)


def existing(path: str | Path) -> Path:
    """Returns the path of a file that is there.

    Args:
        path: File.

    Returns:
        The path.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no file '{path}' (working directory {Path.cwd()}). Correct the path, or fetch the file: "
            'docs/datasets.md and docs/pretraining_data.md say where from.'
        )
    return path


def value_of(entry: Any, key: str, where: str, *kinds: type) -> Any:
    """Takes a value out of an object of a JSON file.

    Args:
        entry: What should be an object.
        key: Key that it must have.
        where: File and place, for messages.
        *kinds: Types that the value may have; a text where none is given.

    Returns:
        The value.

    Raises:
        AnnotationError: If there is no such key, or the value is of another type.
    """
    if not isinstance(entry, dict) or key not in entry:
        has = ', '.join(map(str, entry)) if isinstance(entry, dict) else repr(entry)[:80]
        raise AnnotationError(f"{where}: no '{key}'; there is: {has}. Is this the right file?")
    kinds = kinds or (str,)
    if not isinstance(entry[key], kinds):
        raise AnnotationError(
            f"{where}: '{key}' is {str(entry[key])[:80]!r}, {_article(*kinds)} was expected. Correct it."
        )
    return entry[key]
