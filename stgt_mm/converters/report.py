"""The account of a conversion: what became of every key, and whether the result may be used."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stgt_mm.converters.converted import Converted
from stgt_mm.io.state import compare

MAX_UNKNOWN = 5
_SHOWN = 8
TITLES = {
    'mapped': 'mapped',
    'left_aside': 'left aside, not needed',
    'filled': 'filled in, not from the source',
    'gaps': 'not in this kind of source, keep their start',
    'unknown': 'UNKNOWN in the source',
    'missing': 'MISSING for the model',
    'unexpected': 'UNEXPECTED, not in the model',
    'shapes': 'SHAPE differs from the model',
}
# fields that are problems, and what stops a conversion
_PROBLEMS = {
    'unknown': None,
    'missing': 'keys of the model are missing',
    'unexpected': 'keys are not in the model',
    'shapes': 'keys have another shape than in the model',
}


class Report(NamedTuple):
    """What became of every key of a source, and of every key of the model that it is for, as lines."""

    mapped: list[str]  # their name -> our name
    left_aside: list[str]  # names in the source, with the reason
    filled: list[str]  # our names with values that are not from the source, with the reason
    gaps: list[str]  # our names that this source is known not to have, with the reason
    unknown: list[str]  # names in the source that no rule knows
    missing: list[str]  # our names that nothing in the source became
    unexpected: list[str]  # our names that the model does not have
    shapes: list[str]  # our names and both shapes
    checked: bool  # whether there was a model to compare with; else the last three and gaps are empty


def account(
    converted: Converted,
    target: Mapping[str, Sequence[int]] | None = None,
    gaps: Mapping[str, str] | None = None,
) -> Report:
    """Accounts for every key of a conversion, against the names and shapes of a model if there is one.

    ``gaps`` are patterns of the beginnings of names that this kind of source does not have, each with the
    reason.
    """
    misfit = compare(converted, {} if target is None else target, 'source')
    known = {
        name: why for name in misfit.missing for part, why in (gaps or {}).items() if re.match(part, name)
    }
    return Report(
        mapped=[f'{" + ".join(keys)} -> {name}' for name, keys in converted.origin.items() if keys],
        left_aside=[f'{key}: {why}' for key, why in converted.left_aside.items()],
        filled=[f'{name}: {why}' for name, why in converted.filled.items()],
        gaps=[f'{name}: {why}' for name, why in known.items()],
        unknown=list(converted.unknown),
        missing=[name for name in misfit.missing if name not in known],
        unexpected=[] if target is None else misfit.unexpected,
        shapes=[f'{name}: {how}' for name, how in misfit.shapes.items()],
        checked=target is not None,
    )


def report_lines(report: Report, whole: bool = False) -> list[str]:
    """Puts a report into words: every key, or problems in part and the rest counted."""
    lines = []
    for field, title in TITLES.items():
        entries = getattr(report, field)
        if entries:
            lines.append(f'{len(entries):5d} {title}')
        shown = entries if whole else entries[:_SHOWN] if field in _PROBLEMS else []
        lines += [f'        {entry}' for entry in shown]
        if shown and len(shown) < len(entries):
            lines.append(f'        ... and {len(entries) - len(shown)} more')
    if not report.checked:
        lines.append('      no model to compare with: shapes and missing keys are not checked')
    return lines


def check(report: Report, max_unknown: int = MAX_UNKNOWN) -> None:
    """Raises a ValueError for a conversion that cannot be right.

    More than ``max_unknown`` unknown names do: what is forgotten in a layer is forgotten in all of them.
    """
    problems = [] if report.mapped else ['not one key has a known name: is the source of this kind?']
    if len(report.unknown) > max_unknown:
        problems.append(f'{len(report.unknown)} keys have no known name, at most {max_unknown} may')
    for field, what in _PROBLEMS.items():
        if what and getattr(report, field):
            problems.append(f'{len(getattr(report, field))} {what}')
    if problems:
        text = '\n'.join([*(f'  {problem}' for problem in problems), '', *report_lines(report)])
        raise ValueError(f'the conversion does not fit:\n{text}')
