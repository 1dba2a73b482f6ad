"""One line that says how far training is and how long it will take."""

import sys
import time
from collections import deque
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from stgt_mm.registry import HOOKS


def format_duration(seconds: float) -> str:
    """Writes a duration for people.

    Args:
        seconds: Duration in s.

    Returns:
        Such as ``'8 s'``, ``'4 min 10 s'`` or ``'3 h 05 min'``.
    """
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f'{seconds} s'
    if seconds < 3600:
        return f'{seconds // 60} min {seconds % 60:02d} s'
    return f'{seconds // 3600} h {seconds % 3600 // 60:02d} min'


@HOOKS.register_module()
class ProgressHook(Hook):
    """Prints ``step 120/2000 (6%)  loss 3.21  3.1 clips/s  4 min 10 s left`` to stderr.

    On a terminal the line rewrites itself twice a second; elsewhere a new line comes every ``seconds``.
    Validations on the way count into the time left, as far as they have shown how long they take.

    Args:
        seconds: Time between lines that do not go to a terminal, in s.
    """

    priority = 'LOWEST'

    def __init__(self, seconds: float = 10.0):
        self.seconds = seconds
        self._terminal = sys.stderr.isatty()
        self._period = 0.5 if self._terminal else seconds

    def before_train(self, runner: Any) -> None:
        """Starts the clock.

        Args:
            runner: The runner.
        """
        self._first = runner.iter
        self._started = self._printed = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque([(self._started, 0)], maxlen=50)
        self._clips = 0

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Prints the line if it is time.

        Args:
            runner: The runner.
            batch_idx: Index of the batch in the epoch.
            data_batch: The batch.
            outputs: Losses and diagnostics.
        """
        now = time.monotonic()
        self._clips += _batch_size(data_batch) * runner.world_size
        self._recent.append((now, self._clips))
        step = runner.iter + 1
        last = step == runner.max_iters
        if not is_main_process() or (now - self._printed < self._period and not last):
            return
        self._printed = now
        left = (now - self._started) / (step - self._first) * (runner.max_iters - step)
        (then, before), span = self._recent[0], now - self._recent[0][0]
        rate = (self._clips - before) / span if now > then else 0.0
        loss = float(torch.as_tensor((outputs or {}).get('loss', float('nan'))).detach())
        percent = 100 * step // runner.max_iters
        text = f'step {step}/{runner.max_iters} ({percent}%)  loss {loss:.3f}  {rate:.1f} clips/s'
        self._print(f'{text}  {format_duration(left)} left', last)

    def _print(self, text: str, last: bool) -> None:
        if self._terminal:
            sys.stderr.write(f'\r\x1b[K{text}' + ('\n' if last else ''))
        else:
            sys.stderr.write(f'{text}\n')
        sys.stderr.flush()


def _batch_size(batch: Any) -> int:
    if isinstance(batch, dict) and batch.get('data_samples') is not None:
        return len(batch['data_samples'])
    if isinstance(batch, dict) and hasattr(batch.get('inputs'), '__len__'):
        return len(batch['inputs'])
    return 1
