"""One line that says how far training is and how long it will take."""

import time
from collections import deque
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from stgt_mm.progress import ProgressLine
from stgt_mm.registry import HOOKS


@HOOKS.register_module()
class ProgressHook(Hook):
    """Prints ``step: 120/2000, 4 min 10 s left, loss 3.210, 3.1 clips/s`` to stderr.

    Validations count into the time left, as far as they have shown how long they take.

    Args:
        seconds: Time between lines that do not go to a terminal, in s.
    """

    priority = 'LOWEST'

    def __init__(self, seconds: float = 10.0):
        self.seconds = seconds

    def before_train(self, runner: Any) -> None:
        """Starts the clock."""
        self._line = ProgressLine('step', runner.max_iters, self.seconds, start=runner.iter)
        self._clips = 0
        self._recent: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=50)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Prints the line if it is time."""
        batch = data_batch if isinstance(data_batch, dict) else {}
        counted = batch.get('data_samples') if batch.get('data_samples') is not None else batch.get('inputs')
        self._clips += (len(counted) if hasattr(counted, '__len__') else 1) * runner.world_size
        self._recent.append((time.monotonic(), self._clips))

        def note() -> str:
            # only for a line that is printed: reading the loss waits for the GPU
            (then, before), (now, clips) = self._recent[0], self._recent[-1]
            rate = (clips - before) / max(now - then, 1e-9)
            loss = float(torch.as_tensor((outputs or {}).get('loss', float('nan'))).detach())
            return f'loss {loss:.3f}, {rate:.1f} clips/s'

        if is_main_process():
            self._line.advance(note=note)

    def after_train(self, runner: Any) -> None:
        """Ends the line."""
        self._line.close()
