"""The share of each process in an evaluation: its blocks, on its device; results are merged exactly."""

from collections.abc import Iterator

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from torch import Tensor, nn


def device_of(model: nn.Module) -> torch.device:
    """Returns the device of the model's parameters."""
    return next(model.parameters()).device


def autocast(model: nn.Module, amp: torch.dtype | None) -> torch.autocast:
    """Makes the context that the model runs in; None is full precision."""
    return torch.autocast(device_of(model).type, dtype=amp, enabled=amp is not None)


def own_blocks(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Deals out blocks of fixed size to the processes: yields (start, stop) of this one's."""
    for start in range(get_rank() * size, total, get_world_size() * size):
        yield start, min(start + size, total)


def merge_disjoint(values: Tensor) -> Tensor:
    """Adds up, in place, what each process filled in of an array that is zero elsewhere; x + 0 is exact."""
    all_reduce(values, op='sum')
    return values


def refuse_nan(values: Tensor, what: str) -> Tensor:
    """Returns ``values``, which are the same on every process, so that all stop alike and none waits."""
    bad = int(values.isnan().sum())
    if bad:
        raise ValueError(
            f'{bad} of {values.numel()} {what} are NaN: the model gave no number. Evaluate without autocast '
            'to tell an overflow from a checkpoint that went bad in training.'
        )
    return values
