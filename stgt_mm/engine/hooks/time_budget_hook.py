"""Training for a given time instead of a given number of epochs."""

import time
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook

from stgt_mm.engine.hooks.checkpoint_hook import VideoTextCheckpointHook
from stgt_mm.registry import HOOKS


@HOOKS.register_module()
class TimeBudgetHook(Hook):
    """Ends training after a time, with a checkpoint and a validation of the last step.

    Validation does not count; the time of earlier parts of a resumed run does. The learning rate follows its
    schedule over ``max_epochs`` all the same: for a complete schedule choose the epochs from a measured step
    time.

    Args:
        seconds: Training time in s.

    Raises:
        ValueError: If the time is not positive.
    """

    priority = 'LOWEST'

    def __init__(self, seconds: float):
        if seconds <= 0:
            raise ValueError(f'seconds={seconds}: a positive time.')
        self.seconds = seconds
        self._spent = 0.0
        self._mark = time.monotonic()

    def before_train(self, runner: Any) -> None:
        """Starts the clock, from where a resumed run had it."""
        self._spent = float(runner.message_hub.runtime_info.get('train_seconds', 0.0))
        self._mark = time.monotonic()

    def before_val(self, runner: Any) -> None:
        """Stops the clock."""
        self._spent += time.monotonic() - self._mark

    def after_val(self, runner: Any) -> None:
        """Starts the clock again."""
        self._mark = time.monotonic()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Ends training when the time is up."""
        now = time.monotonic()
        self._spent, self._mark = self._spent + now - self._mark, now
        runner.message_hub.update_info('train_seconds', self._spent)
        if not self._time_is_up():
            return
        runner.train_loop.stop_training = True
        runner.logger.info(
            f'TimeBudgetHook: {self._spent:.0f} s of training are over at step {runner.iter + 1}'
        )
        for hook in runner.hooks:
            if isinstance(hook, VideoTextCheckpointHook) and batch_idx + 1 < len(runner.train_dataloader):
                hook.save_step(runner)

    def _time_is_up(self) -> bool:
        # clocks differ: all processes stop as soon as one of them has to
        flag = torch.tensor(float(self._spent >= self.seconds))
        all_reduce(flag, 'max')
        return bool(flag > 0)
