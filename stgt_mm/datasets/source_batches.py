"""Batches of one source each, for data sets whose clips cannot stand in one batch."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from stgt_mm.datasets.mixed_dataset import MixedDataset
from stgt_mm.datasets.samplers import EpochIndex, EpochSampler
from stgt_mm.registry import DATA_SAMPLERS
from stgt_mm.utils import did_you_mean


@DATA_SAMPLERS.register_module()
class SourceBatchSampler(Sampler):
    """Every batch comes from one source, the same on all processes; sources take turns by their size.

    An epoch goes through each source once: a source with n records gives ``n // (b * W)`` batches, W the
    number of processes, and these of all sources are shuffled. The records that are left over, other ones in
    each epoch, are not seen in it. Order of batches and of records are a function of (seed, epoch); the batch
    of a step, over all processes, is that of a single process with batches W times as large. Epoch, seed and
    place are those of ``sampler``.

    Args:
        sampler: :class:`~stgt_mm.datasets.samplers.EpochSampler` with ``shuffle=True`` over a
            :class:`~stgt_mm.datasets.mixed_dataset.MixedDataset`.
        batch_size: Samples a step and process, b.
        batch_sizes: Name of a source -> its own batch size, for example ``dict(cc3m=64)``; the others take
            ``batch_size``.

    Raises:
        ValueError: If the data set has no sources, the sampler has an epoch of another length, a name is
            unknown, a size is below 1 or a source cannot fill a batch.
    """

    def __init__(
        self, sampler: EpochSampler, batch_size: int, batch_sizes: dict[str, int] | None = None
    ) -> None:
        dataset = sampler.dataset
        if not isinstance(dataset, MixedDataset) or not getattr(sampler, 'shuffle', False):
            raise ValueError(
                "SourceBatchSampler needs sampler=dict(type='EpochSampler', shuffle=True) over a "
                'MixedDataset.'
            )
        if sampler.size != len(dataset):
            raise ValueError(
                f'samples_per_epoch={sampler.size}: SourceBatchSampler goes through each source once an '
                'epoch. Take it out of train_dataloader.sampler.'
            )
        own = dict(batch_sizes or {})
        for name in own:
            if name not in dataset.sources:
                raise ValueError(f"batch_sizes: no source '{name}'. {did_you_mean(name, dataset.sources)}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.sizes = [own.get(name, batch_size) for name in dataset.sources]
        self.counts: list[int] = []
        for name, size, records in zip(dataset.sources, self.sizes, dataset.sizes):
            if size < 1:
                raise ValueError(f"source '{name}' has batch size {size}: at least 1.")
            if records < size * sampler.world_size:
                raise ValueError(
                    f"source '{name}' has {records} records, which cannot fill a batch of {size} on "
                    f'{sampler.world_size} process(es). Lower train_dataloader.batch_size, or set '
                    f'train_dataloader.batch_sampler.batch_sizes.{name}.'
                )
            self.counts.append(records // (size * sampler.world_size))

    def __iter__(self) -> Iterator[list[EpochIndex]]:
        sampler = self.sampler
        start, sampler.start = sampler.start // self.batch_size, 0
        # the source of each batch of the epoch
        rng = np.random.default_rng((sampler.seed, sampler.epoch))
        turns = rng.permutation(np.repeat(np.arange(len(self.counts)), self.counts))
        done = np.bincount(turns[:start], minlength=len(self.counts)).tolist()
        data = sampler.dataset
        orders = [
            offset + np.random.default_rng((sampler.seed, sampler.epoch, source)).permutation(size)
            for source, (offset, size) in enumerate(zip(data.offsets, data.sizes))
        ]
        for source in turns[start:].tolist():
            step = self.sizes[source] * sampler.world_size
            begin = done[source] * step
            done[source] += 1
            mine = orders[source][begin + sampler.rank : begin + step : sampler.world_size]
            yield [EpochIndex(int(index), sampler.epoch, sampler.seed) for index in mine]

    def __len__(self) -> int:
        """Batches of a whole epoch, the same in every epoch."""
        return sum(self.counts)
