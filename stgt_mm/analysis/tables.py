"""Tables that read well in a terminal and are Markdown at the same time.

Ours, because rich writes no alignment (``--:``) into its Markdown tables.
"""

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Writes a Markdown table: first column to the left, the others to the right; None is shown as ``-``."""
    rows = [['-' if cell is None else str(cell).replace('|', '\\|') for cell in row] for row in rows]
    if any(len(row) != len(header) for row in rows):
        raise ValueError(
            f'a table of {len(header)} columns has rows of {sorted({len(row) for row in rows})}.'
        )
    widths = [max(3, *map(len, column)) for column in zip(header, *rows)]
    rule = ['-' * width if place == 0 else '-' * (width - 1) + ':' for place, width in enumerate(widths)]
    lines = []
    for first, *others in (header, rule, *rows):
        cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)
