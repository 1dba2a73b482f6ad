"""Positions: the fixed 2-D sine-cosine table of a frame and the resize of a learnt temporal table."""

import torch
from torch import Tensor
from torch.nn import functional as F


def to_grid(grid_size: int | tuple[int, int]) -> tuple[int, int]:
    """Returns the side of a square grid, or (Gh, Gw), as (Gh, Gw); positive integers or a ValueError."""
    grid = (grid_size, grid_size) if isinstance(grid_size, int) else tuple(grid_size)
    if len(grid) != 2 or not all(isinstance(side, int) and side > 0 for side in grid):
        raise ValueError(
            f'grid_size {grid_size!r} must be a positive int or (rows, columns) of the patch grid.'
        )
    return grid


def sincos_position(channels: int, grid_size: int | tuple[int, int]) -> Tensor:
    """Computes the 2-D sine-cosine table of one frame with a zero row for the CLS token.

    The first half of the channels tells the column, the second half the row; in each half the sines come
    first. Frequencies are 10000^(-i / (C/4)).

    Args:
        channels: C, a multiple of 4.
        grid_size: Side of the patch grid, or (Gh, Gw).

    Returns:
        shape [1 + Gh*Gw, C], float32, patches in row-major order.

    Raises:
        ValueError: If ``channels`` is not a positive multiple of 4.

    Source: Eq. 1-3.
    """
    if channels <= 0 or channels % 4:
        raise ValueError(
            f'{channels} channels cannot hold sines and cosines of two axes: use a multiple of 4.'
        )
    rows, columns = to_grid(grid_size)
    quarter = channels // 4
    frequency = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)

    def axis(length: int) -> Tensor:
        angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
        return torch.cat([angle.sin(), angle.cos()], dim=-1)

    column = axis(columns)[None, :].expand(rows, -1, -1)
    row = axis(rows)[:, None].expand(-1, columns, -1)
    table = torch.cat([column, row], dim=-1).flatten(0, 1)
    return torch.cat([table.new_zeros(1, channels), table]).float()


def resize_temporal(table: Tensor, frames: int, mode: str = 'linear') -> Tensor:
    """Resizes a learnt temporal table to another number of frames.

    Args:
        table: shape [T, C].
        frames: Wanted number of rows.
        mode: 'linear', or 'nearest' as in the authors' release.

    Returns:
        shape [frames, C]; the table itself when nothing changes.

    Raises:
        ValueError: If the mode is unknown.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.position import resize_temporal
        >>> resize_temporal(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), frames=2).flatten()
        tensor([0.5000, 2.5000])
    """
    if mode not in ('linear', 'nearest'):
        raise ValueError(f"temporal_resize {mode!r} is unknown: use 'linear' or 'nearest'.")
    if table.shape[0] == frames:
        return table
    align = {'align_corners': False} if mode == 'linear' else {}
    return F.interpolate(table.t()[None], size=frames, mode=mode, **align)[0].t()
