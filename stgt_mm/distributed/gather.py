"""Gathers of rows over all ranks. Without a process group every function returns what it was given.

Batches may differ in size between ranks: rows are padded for the transfer and cut afterwards. Each gather
asks for the sizes first; to ask once a step, call :func:`row_counts` and pass its result as ``counts``.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def world_size() -> int:
    """Returns the number of processes that train together; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Returns the number of this process; 0 without a process group."""
    return dist.get_rank() if world_size() > 1 else 0


def _all_gather(x: Tensor) -> list[Tensor]:
    x = x.contiguous()
    parts = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(parts, x)
    return parts


def row_counts(rows: int, device: torch.device | str) -> list[int]:
    """Returns the number of rows on each rank; waits for the device, on which the group communicates."""
    if world_size() == 1:
        return [rows]
    parts = _all_gather(torch.tensor([rows], dtype=torch.long, device=device))
    return torch.cat(parts).tolist()


def row_offset(counts: Sequence[int]) -> int:
    """Returns where this rank's rows begin in the gathered batch of ``row_counts`` rows."""
    return sum(counts[: rank()])


def _gather_rows(x: Tensor, counts: Sequence[int]) -> Tensor:
    missing = max(counts) - len(x)
    padded = x if missing == 0 else torch.cat([x, x.new_zeros(missing, *x.shape[1:])])
    if padded.dtype == torch.bool:  # not every backend can send booleans
        return _gather_rows(x.to(torch.uint8), counts).bool()
    return torch.cat([part[:count] for part, count in zip(_all_gather(padded), counts, strict=True)])


class _GatherWithGrad(torch.autograd.Function):
    """Forward: concatenates the rows of all ranks. Backward: sums all gradients, keeps those of own rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, counts: Sequence[int]) -> Tensor:
        ctx.start, ctx.rows = row_offset(counts), len(x)
        return _gather_rows(x, counts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        # all_reduce and a slice, as gloo has no reduce_scatter; the clone keeps autograd's tensor unchanged
        total = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total[ctx.start : ctx.start + ctx.rows], None


def all_gather_with_grad(x: Tensor, counts: Sequence[int] | None = None) -> Tensor:
    """Concatenates the rows of all ranks; the gradient of a row is the sum of what all ranks ask of it.

    ``x`` (B, ...), whose B may differ between ranks, becomes (G, ...), G = sum of the ranks' B, in order of
    rank; in a single process it is ``x`` itself. ``counts`` is from :func:`row_counts`; None asks for it.
    """
    if world_size() == 1:
        return x
    return _GatherWithGrad.apply(x, counts or row_counts(len(x), x.device))


def gather_no_grad(x: Tensor, counts: Sequence[int] | None = None) -> Tensor:
    """As :func:`all_gather_with_grad`, for what needs no gradient (ids, masks)."""
    if world_size() == 1:
        return x
    with torch.no_grad():
        return _gather_rows(x, counts or row_counts(len(x), x.device))


def gather_padded(x: Tensor, pad_value: int | float | bool, counts: Sequence[int] | None = None) -> Tensor:
    """As :func:`gather_no_grad` for ids or masks (B, L), each padded to the longest L of any rank."""
    if world_size() == 1:
        return x
    longest = max(row_counts(x.size(1), x.device))
    return gather_no_grad(F.pad(x, (0, longest - x.size(1)), value=pad_value), counts)
