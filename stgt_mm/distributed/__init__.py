"""Gathers and means that make losses equal for any number of processes; the identity in a single one."""

from stgt_mm.distributed.gather import (
    all_gather_with_grad,
    gather_no_grad,
    gather_padded,
    rank,
    row_counts,
    row_offset,
    world_size,
)
from stgt_mm.distributed.ids import gather_ids, stable_ids
from stgt_mm.distributed.reduce import global_count, global_mean, mean_over_ranks

__all__ = [
    'all_gather_with_grad',
    'gather_ids',
    'gather_no_grad',
    'gather_padded',
    'global_count',
    'global_mean',
    'mean_over_ranks',
    'rank',
    'row_counts',
    'row_offset',
    'stable_ids',
    'world_size',
]
