"""Conditions on path, time and the user's own columns, in a form that every engine understands."""

import os
from collections.abc import Collection
from typing import Any, NamedTuple

from stgt_mm.utils import did_you_mean

BUILT_IN = ('path', 'start', 'end')


class Condition(NamedTuple):
    """One condition; all of a filter must hold."""

    column: str
    values: tuple[Any, ...] = ()  # one of these; a path may also lie below one of them
    low: float | None = None  # without values: a number from low to high, both included
    high: float | None = None


def parse_filter(filter: dict[str, Any], own: Collection[str]) -> list[Condition]:
    """Reads a filter: column to a value, a list of values, or a range (low, high) of numbers or None.

    Columns are ``path``, a file or a folder, ``start`` and ``end`` in seconds, and the user's ``own``:
    ``{'camera': ['left', 'right'], 'start': (60, None)}``. What cannot be used is a ValueError.
    """
    conditions = []
    for column, wanted in filter.items():
        if column not in BUILT_IN and column not in own:
            raise ValueError(
                f"filter: no column '{column}' in the index. {did_you_mean(column, [*BUILT_IN, *own])}"
            )
        is_range = isinstance(wanted, tuple)
        values = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
        values = [str(value) if isinstance(value, os.PathLike) else value for value in values]
        known = (int, float, type(None)) if is_range else (str, int, float)
        if not values or (is_range and len(values) != 2) or not all(isinstance(own, known) for own in values):
            raise ValueError(
                f'filter: {column}={wanted!r}. Give text, a number, True or False, a list of these, or a '
                'tuple of two numbers, the ends of a range; None is no end.'
            )
        if column == 'path' and not is_range:
            values = [os.path.abspath(os.path.expanduser(value)) for value in values]
        conditions.append(Condition(column, (), *values) if is_range else Condition(column, tuple(values)))
    return conditions


def to_sql(conditions: list[Condition]) -> str | None:
    """Writes conditions as SQL for Lance; None if there is none."""
    return ' AND '.join(map(_sql, conditions)) or None


def _sql(condition: Condition) -> str:
    name = f'`{condition.column}`'
    if condition.values:
        listed = f'{name} IN ({", ".join(map(quoted, condition.values))})'
        folders = [os.path.join(value, '') for value in condition.values if condition.column == 'path']
        return f'({" OR ".join([listed, *(f"starts_with({name}, {quoted(own)})" for own in folders)])})'
    ends = [f'{name} >= {condition.low!r}'] * (condition.low is not None)
    ends += [f'{name} <= {condition.high!r}'] * (condition.high is not None)
    return ' AND '.join(ends) or f'{name} IS NOT NULL'


def quoted(value: Any) -> str:
    """Writes a value as SQL."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value).lower()
