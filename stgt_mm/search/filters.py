"""What may be asked of path, time and the user's own columns, in a form that every engine understands."""

import os
from collections.abc import Collection
from typing import Any, NamedTuple

from stgt_mm.utils import did_you_mean

BUILT_IN = ('path', 'start', 'end')


class Condition(NamedTuple):
    """One condition; all of a filter must hold."""

    column: str
    values: tuple[Any, ...] = ()  # one of these; for 'path' a file, or a folder that it lies below
    low: float | None = None  # or a number from low to high, both included
    high: float | None = None


def parse_filter(filter: dict[str, Any] | None, own: Collection[str]) -> list[Condition]:
    """Reads a filter: column to a value, a list of values, or a pair (low, high) of numbers or None.

    Columns are ``path``, a file or a folder, ``start`` and ``end`` in seconds, and the user's ``own``.

    Example:
        >>> parse_filter({'camera': ['left', 'right'], 'start': (60, None)}, {'camera'})[1].low
        60
    """
    conditions = []
    for column, wanted in (filter or {}).items():
        if column not in BUILT_IN and column not in own:
            known = ', '.join([*BUILT_IN, *sorted(own)])
            raise ValueError(
                f"filter: the index has no column '{column}'. {did_you_mean(column, [*BUILT_IN, *own])} "
                f'It has: {known}.'
            )
        if isinstance(wanted, tuple):
            if len(wanted) != 2 or not all(end is None or _is_number(end) for end in wanted):
                raise ValueError(
                    f'filter: {column}={wanted}. A tuple is a range (low, high) of numbers, None for no end; '
                    'several values are a list.'
                )
            conditions.append(Condition(column, low=wanted[0], high=wanted[1]))
            continue
        values = list(wanted) if isinstance(wanted, (list, set)) else [wanted]
        if column == 'path':
            values = [os.path.abspath(os.path.expanduser(value)) for value in values]
        wrong = [value for value in values if not isinstance(value, str) and not _is_number(value)]
        if wrong or not values:
            raise ValueError(f'filter: {column}={wanted!r}. Give text, a number, True or False, or a list.')
        conditions.append(Condition(column, tuple(values)))
    return conditions


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def to_sql(conditions: list[Condition]) -> str | None:
    """Writes conditions as SQL for Lance; None if there is none."""
    return ' AND '.join(map(_sql, conditions)) or None


def _sql(condition: Condition) -> str:
    name = f'`{condition.column}`'
    if not condition.values:
        ends = [f'{name} >= {condition.low!r}'] * (condition.low is not None)
        ends += [f'{name} <= {condition.high!r}'] * (condition.high is not None)
        return ' AND '.join(ends) or f'{name} IS NOT NULL'
    listed = f'{name} IN ({", ".join(map(quoted, condition.values))})'
    if condition.column != 'path':
        return listed
    below = [f'starts_with({name}, {quoted(folder_prefix(value))})' for value in condition.values]
    return f'({" OR ".join([listed, *below])})'


def folder_prefix(path: str) -> str:
    """Returns how the paths of all files below a folder begin."""
    return path.rstrip(os.sep) + os.sep


def quoted(value: Any) -> str:
    """Writes a value as SQL."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, (int, float)) else "'" + str(value).replace("'", "''") + "'"
