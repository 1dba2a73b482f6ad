"""Training by epochs that can stop after any step and go on as if it had not."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.runner import EpochBasedTrainLoop
from torch import nn

from stgt_mm.config_check import check_epochs
from stgt_mm.datasets.samplers import set_data_progress
from stgt_mm.distributed import mean_over_ranks
from stgt_mm.engine.errors import NonFiniteLossError
from stgt_mm.engine.optim import AutocastOptimWrapper
from stgt_mm.registry import LOOPS
from stgt_mm.utils import bare_model

_NAMED_VIDEOS = 64


def step_seed(seed: int, step: int, rank: int) -> int:
    """Mixes a seed of 63 bits from the seed of the run, the global step and the index of the process."""
    state = np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def seed_everything(seed: int) -> None:
    """Seeds torch (all devices), numpy and random from up to 63 bits."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """Epochs whose every step is seeded by its number, so that no random state has to be saved.

    With an ``EpochSampler`` a resumed epoch starts at the batch where it stopped; with another sampler
    ``set_epoch(epoch)`` is called and the batches that were seen are loaded and thrown away. A loss that is
    not finite stops the run before the update. When a hook stops training early, the last step is validated
    as the last epoch would have been.

    Args:
        runner: The runner.
        dataloader: Data loader or its config.
        max_epochs: Epochs to train.
        val_begin: First epoch (from 1) that is followed by a validation.
        val_interval: Epochs between validations.
        dynamic_intervals: ``(epoch, interval)`` pairs that change ``val_interval`` on the way.

    Raises:
        ValueError: If the data loader has no batch, or parts of the config count on another number of epochs,
            or ``val_interval`` is not positive.
    """

    def __init__(
        self,
        runner: Any,
        dataloader: Any,
        max_epochs: int,
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ):
        check_epochs(runner.cfg)  # before any data is read
        if val_interval < 1:
            raise ValueError(
                f'train_cfg.val_interval={val_interval}: at least 1 epoch; val_cfg=None validates never.'
            )
        super().__init__(runner, dataloader, max_epochs, val_begin, val_interval, dynamic_intervals)
        if len(self.dataloader) == 0:
            raise ValueError(
                'the training data loader has no batch: fewer samples than batch_size with drop_last?'
            )
        self._seed = runner.seed
        self._resumed_between_epochs = False
        self._last_losses: dict[str, Any] = {}

    def restore(self, epoch: int, step: int) -> None:
        """Sets the position from a checkpoint: complete epochs, and steps since the start of training.

        A step that is not in that epoch, or beyond the end, is a ValueError.
        """
        steps = len(self.dataloader)
        end = steps * self._max_epochs
        if not 0 <= epoch <= self._max_epochs or not 0 <= step - epoch * steps <= steps or step > end:
            raise ValueError(
                f'the checkpoint says epoch {epoch} and step {step}; with {steps} steps an epoch and '
                f'{self._max_epochs} epochs that cannot be. It is damaged, or of another training: start '
                'from its weights with load_from instead.'
            )
        self._epoch, self._iter = epoch, step
        # the checkpoint of an epoch is written before its validation, which may not have happened
        self._resumed_between_epochs = epoch > 0 and self.start_batch == 0

    def reseed(self, seed: int) -> None:
        """Takes the seed of a resumed run that had drawn its own."""
        self._seed = seed
        for sampler in self._samplers():
            if hasattr(sampler, 'seed'):
                sampler.seed = seed

    @property
    def start_batch(self) -> int:
        """Batches of the present epoch that are done."""
        return self._iter - self._epoch * len(self.dataloader)

    def run(self) -> nn.Module:
        """Trains and returns the model; a wrapper that does not guard its updates is a ValueError."""
        if not isinstance(self.runner.optim_wrapper, AutocastOptimWrapper):
            kind = type(self.runner.optim_wrapper).__name__
            raise ValueError(
                f"optim_wrapper.type='{kind}' would apply a loss that is not finite; use "
                'AutocastOptimWrapper or a subclass (dtype=None is full precision).'
            )
        self.runner.call_hook('before_train')
        handle = bare_model(self.runner.model).register_forward_hook(self._remember_losses)
        try:
            if self._resumed_between_epochs:
                self._validate_if_due()
            while self._epoch < self._max_epochs and not self.stop_training:
                self.run_epoch()
                self._validate_if_due()
        finally:
            handle.remove()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _validate_if_due(self) -> None:
        self._decide_current_val_interval()
        due = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
        due = self._epoch >= self.val_begin and due
        if self.runner.val_loop is not None and (due or self.stop_training):
            self.runner.val_loop.run()

    def run_epoch(self) -> None:
        """Trains one epoch, or what is left of it, unless a hook stops training on the way."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        start = self.start_batch
        # the workers' seeds are drawn when iteration starts: these too must follow from the step alone
        self._seed_step()
        batches = self._batches_from(start)
        for index in range(start, len(self.dataloader)):
            self._seed_step()
            self.run_iter(index, next(batches))
            if self.stop_training and index + 1 < len(self.dataloader):
                return
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _seed_step(self) -> None:
        seed_everything(step_seed(self._seed, self._iter, self.runner.rank))

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Trains one step; hooks get losses and diagnostics averaged over all processes.

        A NonFiniteLossError says which component went bad and has the videos of the batch.
        """
        try:
            self.runner.call_hook('before_train_iter', batch_idx=idx, data_batch=data_batch)
            outputs = self.runner.model.train_step(data_batch, optim_wrapper=self.runner.optim_wrapper)
        except NonFiniteLossError as error:
            raise NonFiniteLossError(self._describe(error, data_batch)) from error
        # each process has its part of the global losses: what is logged must not depend on the process
        outputs = mean_over_ranks(outputs)
        self.runner.call_hook('after_train_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs)
        self._iter += 1

    def _remember_losses(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, dict):
            self._last_losses = output

    def _describe(self, error: Exception, batch: Any) -> str:
        parts = {}
        for key, value in self._last_losses.items():
            if 'loss' in key:
                tensors = value if isinstance(value, (list, tuple)) else [value]
                parts[key] = float(sum(tensor.detach().float().mean() for tensor in tensors))
        bad = [f'{key}={value}' for key, value in parts.items() if not np.isfinite(value)]
        good = [f'{key}={value:.4g}' for key, value in parts.items() if np.isfinite(value)]
        unusable = [
            name
            for name, parameter in bare_model(self.runner.model).named_parameters()
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all()
        ]
        gradients = f'the gradient of {len(unusable)} parameters, first {", ".join(unusable[:3])}'
        samples = (batch.get('data_samples') if isinstance(batch, dict) else None) or []
        names = [getattr(sample, 'video_id', None) or getattr(sample, 'video', None) for sample in samples]
        videos = [str(name) for name in names if name is not None]
        where = f'epoch {self._epoch + 1}, process {self.runner.rank}'
        shown = ', '.join(videos[:_NAMED_VIDEOS]) or 'unknown (the batch carries no data_samples)'
        return (
            f'stopped at step {self._iter + 1} ({where}): {error}.\n'
            f'  went bad: {", ".join(bad) or gradients}\n'
            f'  still fine: {", ".join(good) or "none"}\n'
            f'  videos of the batch: {shown}\n'
            'No update was made from this batch and no checkpoint was written after it. Look at these clips '
            '(tools/visualization/browse_dataset.py), lower the learning rate or set optim_wrapper.clip_grad.'
        )

    def _samplers(self) -> list[Any]:
        batch_sampler = self.dataloader.batch_sampler
        inner = getattr(batch_sampler, 'sampler', None)
        return [item for item in (batch_sampler, self.dataloader.sampler, inner) if item is not None]

    def _batches_from(self, start: int) -> Iterator[Any]:
        if hasattr(getattr(self.dataloader.batch_sampler, 'sampler', None), 'set_progress'):
            set_data_progress(self.dataloader, self._epoch, start)
            return iter(self.dataloader)
        for sampler in self._samplers():
            if hasattr(sampler, 'set_epoch'):
                sampler.set_epoch(self._epoch)
                break
        batches = iter(self.dataloader)
        if start:
            self.runner.logger.info(f'Going past {start} batches of the epoch that were seen before')
        for _ in range(start):
            next(batches)
        return batches
