"""The order of samples: a function of (seed, epoch), the same whatever the number of processes, resumable."""

from collections.abc import Iterator, Sized

import numpy as np
from mmengine import dist
from torch.utils.data import DataLoader, Sampler

from stgt_mm.registry import DATA_SAMPLERS


class EpochIndex(int):
    """An index with its epoch and seed, so that the randomness of samples needs no state in workers."""

    def __new__(cls, index: int, epoch: int, seed: int) -> 'EpochIndex':
        """Makes the index; see the class."""
        self = super().__new__(cls, index)
        self.epoch = epoch
        self.seed = seed
        return self

    def __reduce__(self) -> tuple[type, tuple[int, int, int]]:
        return EpochIndex, (int(self), self.epoch, self.seed)


@DATA_SAMPLERS.register_module()
class EpochSampler(Sampler):
    """Goes through a data set once an epoch, shuffled by (seed, epoch) or in order.

    Process r of W takes every W-th index beginning at r, so that step s of W processes with batch b is step s
    of one process with batch W * b. In training (``shuffle=True``) the last ``len % W`` indices of an epoch
    are left out, for all processes must take as many steps; in evaluation nothing is left out and nothing
    occurs twice. ``samples_per_epoch`` makes epochs shorter or longer than the data set, so that a training
    of any number of steps keeps the stages of its config.

    Attributes:
        epoch: The epoch to be gone through next.
        size: Samples of an epoch, over all processes.
        start: Samples of this process already done in that epoch.
        block: In evaluation, neighbouring indices that are dealt out together: process r takes every W-th
            block.

    Args:
        dataset: Anything with a length.
        shuffle: True for training, False for evaluation.
        seed: Of the order and of the samples; None takes one that all processes agree on.
        rank: Of this process; found out if None.
        world_size: Number of processes; found out if None.
        samples_per_epoch: Samples of an epoch of training, over all processes: the first ones of a
            permutation of the data set, or of several; None takes each once.

    Raises:
        ValueError: If ``samples_per_epoch`` is not positive, or is given in evaluation.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        samples_per_epoch: int | None = None,
    ) -> None:
        if samples_per_epoch is not None and (samples_per_epoch < 1 or not shuffle):
            raise ValueError(
                f'samples_per_epoch={samples_per_epoch} with shuffle={shuffle}: at least 1, in training only.'
            )
        found_rank, found_world = dist.get_dist_info()
        self.size = len(dataset) if samples_per_epoch is None else samples_per_epoch
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = dist.sync_random_seed() if seed is None else seed
        self.rank = found_rank if rank is None else rank
        self.world_size = found_world if world_size is None else world_size
        self.epoch = 0
        self.start = 0
        self.block = 1

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch to go through next; the place in it is kept if it is the epoch set already."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.start = 0

    def set_progress(self, epoch: int, batches_done: int, batch_size: int) -> None:
        """Makes the next pass give only what an interrupted epoch has left after so many batches."""
        if min(epoch, batches_done, batch_size) < 0:
            raise ValueError(
                f'progress cannot be negative: epoch {epoch}, {batches_done} batches of {batch_size}.'
            )
        self.epoch = epoch
        self.start = batches_done * batch_size

    def __iter__(self) -> Iterator[EpochIndex]:
        start, self.start = self.start, 0
        for index in self._order()[start:]:
            yield EpochIndex(int(index), self.epoch, self.seed)

    def _order(self) -> np.ndarray:
        if not self.shuffle:
            every = np.arange(self.size)
            return every[every // self.block % self.world_size == self.rank]
        rng = np.random.default_rng((self.seed, self.epoch))
        passes = -(-self.size // max(1, len(self.dataset)))
        order = np.concatenate([rng.permutation(len(self.dataset)) for _ in range(max(1, passes))])
        return order[: self.size - self.size % self.world_size][self.rank :: self.world_size]

    def __len__(self) -> int:
        """Samples of this process in a whole epoch."""
        if self.shuffle:
            return self.size // self.world_size
        return len(self._order())


def set_data_progress(dataloader: DataLoader, epoch: int, batches_done: int) -> None:
    """Makes the next pass over a training loader give only the batches that an interrupted epoch has left.

    Another sampler than :class:`EpochSampler`, alone or below one of our batch samplers, is a ValueError.
    """
    batches = dataloader.batch_sampler
    sampler = getattr(batches, 'sampler', None)
    if not hasattr(sampler, 'set_progress'):
        raise ValueError(
            f'{type(sampler).__name__} cannot go on in the middle of an epoch. Use '
            "train_dataloader.sampler=dict(type='EpochSampler', shuffle=True)."
        )
    sampler.set_progress(epoch, batches_done, batches.batch_size)
