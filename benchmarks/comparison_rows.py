"""The variants that a comparison runs."""

import shlex
from dataclasses import dataclass

CSAL = '+csal'


@dataclass(frozen=True)
class Row:
    """A variant.

    Attributes:
        name: Its name in the table.
        options: ``KEY=VALUE`` settings; the word ``+csal`` keeps the objectives of the config's stages.
            Without it all stages train VTC, at the same learning rates.
    """

    name: str
    options: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The name as a folder."""
        return '_'.join(''.join(c if c.isalnum() or c in '.-' else ' ' for c in self.name).split())


_NEITHER = ('model.neck.use_adjacency=False', 'model.neck.use_edge_weights=False')
# Source: STGT, Tables 2 and 3, and the average over time, which knows no order.
PAPER_ROWS = (
    Row('mean pool', ('model.neck.type=MeanPoolNeck',)),
    Row('CrossFrameNeck', ('model.neck.type=CrossFrameNeck',)),
    Row('neither A nor W_s', _NEITHER),
    Row('A only', ('model.neck.use_edge_weights=False',)),
    Row('full'),
    Row('full + CSAL', (CSAL,)),
)


def _threshold(h: float) -> Row:
    return Row(
        f'h {h}', (f'model.neck.similarity_threshold={h}', f'model.neck.test_similarity_threshold={h}')
    )


GRAPH_ROWS = (
    Row('neither A nor W_s', _NEITHER),
    Row('full'),
    Row('2 layers', ('model.neck.num_layers=2',)),
    Row('3 layers', ('model.neck.num_layers=3',)),
    _threshold(0.1),
    _threshold(0.3),
    _threshold(0.7),
    Row('band 2', ('model.neck.band=2',)),
    Row('band 7', ('model.neck.band=7',)),
)
ROW_SETS = {'paper': PAPER_ROWS, 'graph': GRAPH_ROWS}


def parse_row(text: str) -> Row:
    """Parses a row of the command line.

    Args:
        text: ``NAME:KEY=VALUE KEY=VALUE ...``, with ``+csal`` among the settings or not.

    Returns:
        The row.

    Raises:
        ValueError: If it has no name or no setting.
    """
    name, colon, options = text.partition(':')
    if not colon or not name.strip() or not options.strip():
        raise ValueError(f"--row '{text}': write NAME:KEY=VALUE, such as '2 layers:model.neck.num_layers=2'.")
    return Row(name.strip(), tuple(shlex.split(options)))
