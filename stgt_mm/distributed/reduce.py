"""Counts and means over all ranks."""

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor

from stgt_mm.distributed.gather import world_size


def global_count(valid: Tensor) -> Tensor:
    """Counts the True entries on all ranks, as a 0-d int64 tensor, without waiting for the device."""
    count = valid.sum(dtype=torch.long)
    if world_size() > 1:
        dist.all_reduce(count)
    return count


def global_mean(values: Tensor, valid: Tensor | None = None) -> Tensor:
    """This rank's part of the mean over all ranks: sum of the local values * world size / global count.

    DistributedDataParallel averages gradients over ranks; with this scale its average is exactly the
    gradient of the mean over the global batch, also when ranks have different numbers of valid entries.

    Entries that are not ``valid`` (bool, same shape) do not count, also when they are not finite. Zero,
    attached to the graph, when no rank has a valid entry.
    """
    if valid is None:
        valid = torch.ones_like(values, dtype=torch.bool)
    total = torch.where(valid, values, torch.zeros_like(values)).sum()
    return total * (world_size() / global_count(valid).clamp(min=1).to(total.dtype))


def mean_over_ranks(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Averages 0-d tensors, of the same names in the same order on all ranks, without waiting for the device.

    One transfer; the means are float32 without gradient, in a single process the values as they are.
    """
    if world_size() == 1 or not values:
        return dict(values)
    stacked = torch.stack([value.detach().float().reshape(()) for value in values.values()])
    dist.all_reduce(stacked)
    return dict(zip(values, stacked / world_size(), strict=True))
