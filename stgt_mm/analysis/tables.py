"""Tables that read well in a terminal and are Markdown at the same time."""

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Writes a Markdown table with padded columns: names to the left, everything else to the right.

    Args:
        header: Names of the columns.
        rows: Cells; None is shown as ``-``.

    Returns:
        Lines without a last line break.

    Raises:
        ValueError: If a row has another number of cells than the header.
    """
    cells = [list(header), *([_plain(cell) for cell in row] for row in rows)]
    if any(len(row) != len(header) for row in cells):
        raise ValueError(
            f'a table of {len(header)} columns has rows of {sorted({len(row) for row in cells})}.'
        )
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(header))]
    lines = [_line(row, widths) for row in cells]
    rule = ['-' * width if column == 0 else '-' * (width - 1) + ':' for column, width in enumerate(widths)]
    return '\n'.join([lines[0], f'| {" | ".join(rule)} |', *lines[1:]])


def _plain(cell: object) -> str:
    return '-' if cell is None else str(cell).replace('|', '\\|')


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        f'{cell:<{width}}' if i == 0 else f'{cell:>{width}}'
        for i, (cell, width) in enumerate(zip(row, widths))
    ]
    return f'| {" | ".join(padded)} |'
