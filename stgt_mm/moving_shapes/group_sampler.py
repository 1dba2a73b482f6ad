"""Batches with groups of clips of the same look, as a sampler of a data loader."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from stgt_mm.datasets.samplers import EpochIndex, EpochSampler
from stgt_mm.moving_shapes.group_batches import Curriculum, GroupPlan, batches_of_steps, plan_batches
from stgt_mm.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class GroupBatchSampler(Sampler):
    """Batches that hold groups of clips of the same look, and a curriculum.

    Records say to which ``group`` they belong: clips that differ in one fact. A share of each batch is made
    of whole groups, the rest of single samples; no video occurs twice in a batch as long as there are enough
    videos. In an epoch of the full set each record occurs about once. The batch of a step, over all
    processes, is that of a single process with a batch W times as large. Epoch, seed and place are those of
    ``sampler``.

    Args:
        sampler: :class:`EpochSampler` with ``shuffle=True`` over a data set with ``records``.
        batch_size: Samples a step and process, b.
        group_size: Samples of a group in a batch; larger groups are cut up.
        group_fraction: Share of the batch made of groups, in [0, 1].
        curriculum: ``dict(key='objects', max_value=1, until=0.25)``: during that share of ``max_epochs`` only
            records with ``record[key] <= max_value`` are used. A list of them for several steps, in the order
            of ``until``. None for no curriculum.
        max_epochs: Epochs of the training; needed with a curriculum.

    Raises:
        ValueError: If an option is out of range or the records cannot fill it.
    """

    def __init__(
        self,
        sampler: EpochSampler,
        batch_size: int,
        group_size: int = 4,
        group_fraction: float = 0.5,
        curriculum: dict[str, Any] | Sequence[dict[str, Any]] | None = None,
        max_epochs: int | None = None,
    ) -> None:
        records = getattr(sampler.dataset, 'records', None)
        if records is None or not getattr(sampler, 'shuffle', False):
            raise ValueError(
                "GroupBatchSampler needs sampler=dict(type='EpochSampler', shuffle=True) over a "
                'VideoTextDataset.'
            )
        if curriculum is not None and not max_epochs:
            raise ValueError('a curriculum needs max_epochs: the number of epochs of the whole training.')
        self.sampler = sampler
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        steps = [curriculum] if isinstance(curriculum, Mapping) else curriculum or []
        self.curriculum = [Curriculum(**step) for step in steps]
        if any(one.until > two.until for one, two in pairwise(self.curriculum)):
            raise ValueError('the steps of a curriculum must stand in the order of their `until`.')
        self.plan = GroupPlan(
            records, batch_size * sampler.world_size, group_size, group_fraction, self.curriculum
        )

    def __iter__(self) -> Iterator[list[EpochIndex]]:
        sampler = self.sampler
        start, sampler.start = sampler.start // self.batch_size, 0
        counts = batches_of_steps(self.curriculum, sampler.epoch, len(self), self.max_epochs or 1)
        rng = np.random.default_rng((sampler.seed, sampler.epoch))
        for batch in plan_batches(self.plan, counts, rng)[start:]:
            mine = batch[sampler.rank :: sampler.world_size]
            yield [EpochIndex(index, sampler.epoch, sampler.seed) for index in mine]

    def __len__(self) -> int:
        """Batches of a whole epoch, the same in every epoch."""
        return self.sampler.size // self.plan.batch_size
