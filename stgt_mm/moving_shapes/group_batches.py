"""Batches made of groups of clips of the same look, planned for an epoch at once."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Curriculum:
    """One step of a curriculum: easy records only, until a share of the training is over.

    Args:
        key: Key of a record that holds its difficulty, a number.
        max_value: Largest difficulty of an easy record.
        until: Share of the training, in [0, 1], at which the step ends; it begins where the one before ends.
        group_fraction: Share of these batches made of groups; None for that of all batches.

    Raises:
        ValueError: If a share is out of range.
    """

    key: str = 'objects'
    max_value: float = 1
    until: float = 0.25
    group_fraction: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.until <= 1:
            raise ValueError(f'curriculum until={self.until} is a share of the training: between 0 and 1.')
        if self.group_fraction is not None and not 0 <= self.group_fraction <= 1:
            raise ValueError(f'curriculum group_fraction={self.group_fraction} is not between 0 and 1.')

    def select(self, records: Sequence[dict[str, Any]]) -> np.ndarray:
        """Returns the indices of the easy records, int64; ``ValueError`` if a record lacks the key."""
        easy = []
        for record in records:
            if self.key not in record:
                raise ValueError(
                    f"curriculum.key='{self.key}' is not in the record of '{record['video']}', which has: "
                    f'{", ".join(record)}.'
                )
            easy.append(record[self.key] <= self.max_value)
        return np.flatnonzero(easy)


def batches_of_steps(
    curriculum: Sequence[Curriculum], epoch: int, per_epoch: int, max_epochs: int
) -> list[int]:
    """Counts the batches of an epoch (from 0) by step of the curriculum.

    One more number is for the batches of all records after the last step; the sum is ``per_epoch``.
    """
    ends = [round((step.until * max_epochs - epoch) * per_epoch) for step in curriculum]
    ends = [0, *(min(max(end, 0), per_epoch) for end in ends), per_epoch]
    return [after - before for before, after in pairwise(ends)]


class Pool(NamedTuple):
    """Records that the batches of a step of the curriculum are drawn from."""

    records: np.ndarray  # their indices
    groups_a_batch: int
    distinct_videos: int


class GroupPlan:
    """Groups and pools of records that batches are made from.

    Records have ``video_id`` and, where they belong to a group, ``group``; ``batch_size`` is over all
    processes, the rest as in ``GroupBatchSampler``. What cannot be filled is a ``ValueError``.
    """

    def __init__(
        self,
        records: Sequence[dict[str, Any]],
        batch_size: int,
        group_size: int,
        group_fraction: float,
        curriculum: Sequence[Curriculum] = (),
    ) -> None:
        if group_size < 2:
            raise ValueError(f'group_size={group_size}: a group has at least 2 clips.')
        if not 0 <= group_fraction <= 1:
            raise ValueError(f'group_fraction={group_fraction} is a share of the batch: between 0 and 1.')
        if len(records) < batch_size:
            raise ValueError(
                f'{len(records)} records cannot fill a batch of {batch_size} (all processes together). '
                'Lower train_dataloader.batch_size.'
            )
        self.records = records
        self.batch_size = batch_size
        self.group_size = group_size
        if group_fraction > 0 and self._groups(group_fraction) == 0:
            raise ValueError(
                f'group_fraction={group_fraction} of a batch of {batch_size} is less than one group of '
                f'{group_size}. Raise batch_size or group_fraction, or set group_fraction=0.'
            )
        names: dict[Any, int] = {}
        self.videos: list[int] = []
        self.groups: list[Any] = []
        for record in records:
            self.videos.append(names.setdefault(record['video_id'], len(names)))
            self.groups.append(record.get('group'))
        self.pools: list[Pool] = []
        for step in curriculum:
            own = group_fraction if step.group_fraction is None else step.group_fraction
            self._add_pool(step.select(records), own, f'{step.key} <= {step.max_value}')
        self._add_pool(np.arange(len(records)), group_fraction, 'any value')

    def _add_pool(self, pool: np.ndarray, fraction: float, name: str) -> None:
        if not len(pool):
            raise ValueError(f'no record has {name}: raise max_value.')
        groups = self._groups(fraction)
        if groups and not self.chunks(pool, np.random.default_rng(0)):
            raise ValueError(
                f'no two clips with {name} share a `group`, and group_fraction={fraction}. '
                "Write 'group' into the records, or set group_fraction=0."
            )
        distinct = len({self.videos[index] for index in pool.tolist()})
        self.pools.append(Pool(pool, groups, distinct))

    def _groups(self, fraction: float) -> int:
        return int(fraction * self.batch_size / self.group_size + 1e-9)

    def chunks(self, pool: np.ndarray, rng: np.random.Generator) -> list[list[int]]:
        """Cuts the groups of a pool, in random order, into pieces of 2 to ``group_size`` different videos.

        ``rng`` also decides which records of a group larger than ``group_size`` stand together.
        """
        groups: dict[Any, list[int]] = {}
        taken: set[tuple[Any, int]] = set()
        for index in rng.permutation(pool).tolist():
            group = self.groups[index]
            if group is None or (group, self.videos[index]) in taken:
                continue
            taken.add((group, self.videos[index]))
            groups.setdefault(group, []).append(index)
        size = self.group_size
        cut = [group[at : at + size] for group in groups.values() for at in range(0, len(group), size)]
        cut = [piece for piece in cut if len(piece) > 1]
        return [cut[place] for place in rng.permutation(len(cut))]


def plan_batches(plan: GroupPlan, counts: Sequence[int], rng: np.random.Generator) -> list[list[int]]:
    """Makes the batches of an epoch, lists of ``plan.batch_size`` indices.

    ``counts`` of them come from each pool of the plan, one pool after the other (:func:`batches_of_steps`).
    """
    batches: list[list[int]] = []
    for pool, count in zip(plan.pools, counts, strict=True):
        if count < 1:
            continue
        pieces: list[list[int]] = []
        groups = pool.groups_a_batch
        while len(pieces) < count * groups:
            pieces.extend(plan.chunks(pool.records, rng))
        pieces = pieces[: count * groups]
        # Singles are first the records that no group of the epoch uses.
        used = {index for piece in pieces for index in piece}
        singles = deque(index for index in rng.permutation(pool.records).tolist() if index not in used)
        for step in range(count):
            of_groups = [index for piece in pieces[step * groups : (step + 1) * groups] for index in piece]
            batches.append(_fill(plan, pool, of_groups, singles, rng))
    return batches


def _fill(
    plan: GroupPlan, pool: Pool, of_groups: list[int], singles: deque[int], rng: np.random.Generator
) -> list[int]:
    """Makes a batch of members of groups, each video once, then of singles; all records refill the singles.

    A single whose video is in the batch already waits for a later batch, unless no other video is left.
    """
    batch: list[int] = []
    videos: set[int] = set()
    for index in of_groups:
        if plan.videos[index] not in videos:
            videos.add(plan.videos[index])
            batch.append(index)
    waiting: list[int] = []
    while len(batch) < plan.batch_size:
        if not singles:
            singles.extend(rng.permutation(pool.records).tolist())
        index = singles.popleft()
        video = plan.videos[index]
        if video in videos and len(videos) < pool.distinct_videos:
            waiting.append(index)
            continue
        videos.add(video)
        batch.append(index)
    singles.extendleft(reversed(waiting))
    return batch
