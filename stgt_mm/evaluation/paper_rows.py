"""Rows of the paper's tables, to stand beside a measured number; they change none."""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from stgt_mm.errors import UserError
from stgt_mm.utils import did_you_mean

PACKAGED = Path(__file__).with_name('paper_tables.json')
RECALLS = ('R1', 'R5', 'R10')
# what a row may hold: recall by direction, accuracy of question answering and of actions, Table 6
NAMES = {
    't2v': (*RECALLS, 'Rmean', 'MdR', 'MnR'),
    'v2t': (*RECALLS, 'Rmean', 'MdR', 'MnR'),
    'qa': ('accuracy',),
    'action': ('top1', 'top5', 'mean_class'),
    'efficiency': ('spatio_temporal_M', 'learnable_M', 'seconds_1k', 'fps'),
}
_WORDS = ('table', 'setting')
_FORM = '{"rows": {"key": {"table": "Table 1", "t2v": {"R1": 1.0, "R5": 2.0, "R10": 3.0, "Rmean": 2.0}}}}'


@dataclass
class PaperRow:
    """A row of a table, digit by digit as it is printed; ``values`` by the groups and names of ``NAMES``."""

    key: str
    table: str = ''
    setting: str = ''
    values: dict[str, dict[str, Decimal]] = field(default_factory=dict)

    def recomputed(self, direction: str) -> Decimal | None:
        """Computes R-mean from R@1, R@5 and R@10; None where one of the three is not printed."""
        values = self.values.get(direction, {})
        if not all(name in values for name in RECALLS):
            return None
        return sum((values[name] for name in RECALLS), Decimal(0)) / len(RECALLS)

    def follows(self, direction: str) -> bool:
        """Tells whether the printed R-mean can come from the printed R@k; True where nothing can be compared.

        R@k may be off by half a unit of their last digit, R-mean by a whole one, in case it was cut.
        """
        computed, printed = self.recomputed(direction), self.values.get(direction, {}).get('Rmean')
        if computed is None or printed is None:
            return True
        slack = max(_unit(self.values[direction][name]) for name in RECALLS) / 2
        return abs(printed - computed) <= slack + _unit(printed)

    def flags(self) -> list[str]:
        """Says in a sentence a direction which R-means do not follow from their R@k."""
        return [
            f'{direction}: the paper prints R-mean {values["Rmean"]}, the mean of its R@k is '
            f'{self.recomputed(direction):.2f}'
            for direction, values in self.values.items()
            if not self.follows(direction)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Gives the row for JSON, with R-mean recomputed by direction and ``flags``."""
        recomputed = {name: self.recomputed(name) for name in self.values}
        return {
            'source': 'paper',
            'key': self.key,
            'table': self.table,
            'setting': self.setting,
            **{name: {key: float(value) for key, value in own.items()} for name, own in self.values.items()},
            'recomputed_Rmean': {key: round(float(v), 4) for key, v in recomputed.items() if v is not None},
            'flags': self.flags(),
        }


def find_paper_row(key: str, path: str | Path | None = None) -> PaperRow:
    """Finds a row.

    Args:
        key: Its name.
        path: JSON file of the same form as the package's own, whose rows come before those.

    Returns:
        The row.

    Raises:
        UserError: If there is no such row (the nearest name is suggested), or ``path`` is not such a file.
    """
    rows = _read(PACKAGED)
    if path is not None:
        rows |= _read(Path(path))
    if key not in rows:
        raise UserError(f"paper_row='{key}' is in no table. {did_you_mean(key, rows)}")
    return rows[key]


def _read(path: Path) -> dict[str, PaperRow]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'), parse_float=Decimal, parse_int=Decimal)
        # rows that were read in texts about a paper, and say so
        rows = {**content['rows'], **content.get('second_hand', {})}
        return {key: _row(key, own) for key, own in rows.items()}
    except FileNotFoundError as error:
        raise UserError(f"paper_tables='{path}' does not exist. It is a JSON file: {_FORM}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"paper_tables='{path}' is not of the form {_FORM}: {error}") from error


def _row(key: str, content: dict[str, Any]) -> PaperRow:
    for name in content:
        if name not in (*_WORDS, *NAMES):
            raise ValueError(f"row '{key}' has '{name}'. {did_you_mean(name, (*_WORDS, *NAMES))}")
    values = {group: dict(content[group]) for group in NAMES if content.get(group)}
    for group, own in values.items():
        for name, value in own.items():
            if name not in NAMES[group] or not isinstance(value, Decimal):
                raise ValueError(f"row '{key}', {group}: {name}={value!r}; numbers {', '.join(NAMES[group])}")
    return PaperRow(key, str(content.get('table', '')), str(content.get('setting', '')), values)


def _unit(value: Decimal) -> Decimal:
    # a whole number in JSON has lost its zeros
    return min(Decimal(1).scaleb(int(value.as_tuple().exponent)), Decimal('0.1'))
