"""The account of a conversion: what became of every key, and whether the result may be used."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stgt_mm.converters.converted import Converted

MAX_UNKNOWN = 5
_SHOWN = 8


class Report(NamedTuple):
    """What became of every key of a source, and of every key of the model that it is for.

    Attributes:
        mapped: Lines 'their name -> our name'.
        left_aside: Known names in the source that the model does not need, with the reason.
        filled: Our names with values that are not from the source, with the reason.
        gaps: Our names that this source is known not to have, with the reason.
        unknown: Names in the source that no rule knows.
        missing: Our names that nothing in the source became.
        unexpected: Our names that the model does not have.
        shapes: Names of another shape than in the model, with both.
        checked: Whether there was a model to compare with; else the last three and ``gaps`` are empty.
    """

    mapped: list[str]
    left_aside: list[str]
    filled: list[str]
    gaps: list[str]
    unknown: list[str]
    missing: list[str]
    unexpected: list[str]
    shapes: list[str]
    checked: bool


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
_PROBLEMS = ('unknown', 'missing', 'unexpected', 'shapes')


def account(
    converted: Converted,
    target: Mapping[str, Sequence[int]] | None = None,
    gaps: Mapping[str, str] | None = None,
) -> Report:
    """Accounts for every key.

    Args:
        converted: Result of a converter.
        target: Names and shapes of the model, None without one.
        gaps: Patterns of the beginnings of names that this source does not have, each with the reason.

    Returns:
        The report.
    """
    fits = target if target is not None else {}
    absent = [name for name in fits if name not in converted]
    known = {name: why for name in absent for part, why in (gaps or {}).items() if re.match(part, name)}
    return Report(
        mapped=[f'{" + ".join(keys)} -> {name}' for name, keys in converted.origin.items() if keys],
        left_aside=[f'{key}: {why}' for key, why in converted.left_aside.items()],
        filled=[f'{name}: {why}' for name, why in converted.filled.items()],
        gaps=[f'{name}: {why}' for name, why in known.items()],
        unknown=list(converted.unknown),
        missing=[name for name in absent if name not in known],
        unexpected=[name for name in converted if target is not None and name not in target],
        shapes=[
            f'{name}: {list(tensor.shape)} in the source, {list(fits[name])} in the model'
            for name, tensor in converted.items()
            if name in fits and list(tensor.shape) != list(fits[name])
        ],
        checked=target is not None,
    )


def report_lines(report: Report, whole: bool = False) -> list[str]:
    """Puts a report into words.

    Args:
        report: The account.
        whole: Whether to list every key; else problems are listed in part and the rest is counted.

    Returns:
        Lines.
    """
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
    """Stops on a conversion that cannot be right.

    Args:
        report: The account.
        max_unknown: Names in the source that may be unknown. What is forgotten in a layer is forgotten in all
            of them, and is more than a few.

    Raises:
        ValueError: If nothing was mapped, too much is unknown, or the model lacks keys or has them otherwise.
    """
    problems = []
    if not report.mapped:
        problems.append('not one key has a known name: is the source of this kind?')
    if len(report.unknown) > max_unknown:
        problems.append(f'{len(report.unknown)} keys have no known name, at most {max_unknown} may')
    for field, what in (
        ('missing', 'keys of the model are missing'),
        ('unexpected', 'keys are not in the model'),
        ('shapes', 'keys have another shape than in the model'),
    ):
        if getattr(report, field):
            problems.append(f'{len(getattr(report, field))} {what}')
    if problems:
        text = '\n'.join([*(f'  {problem}' for problem in problems), '', *report_lines(report)])
        raise ValueError(f'the conversion does not fit:\n{text}')
