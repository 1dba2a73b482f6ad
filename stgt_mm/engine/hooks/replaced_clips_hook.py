"""How many clips of the training could not be decoded and gave way to others."""

from collections.abc import Iterable
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook

from stgt_mm.registry import HOOKS

KEY = 'replaced_clips'


def count_replaced(samples: Iterable[Any]) -> int:
    """Counts the files that were tried in vain for a batch.

    Args:
        samples: Data samples; one that stands in for others lists them as ``replaced``.

    Returns:
        The number of files, a file that was tried twice counted twice.
    """
    return sum(len(getattr(sample, 'replaced', ())) for sample in samples)


@HOOKS.register_module()
class ReplacedClipsHook(Hook):
    """Puts ``replaced_clips`` into the log and ``metrics.jsonl``: their number since the start of training.

    All processes are counted, and a resumed run goes on counting where its checkpoint was. An epoch in which
    there were some ends with a warning: a training that quietly leaves out a folder of damaged files looks
    like any other.
    """

    # before the hooks that write the log, the metrics and the checkpoint
    priority = 'NORMAL'

    def __init__(self) -> None:
        self._at_epoch_start = 0

    def before_train_epoch(self, runner: Any) -> None:
        """Remembers the count.

        Args:
            runner: The runner.
        """
        self._at_epoch_start = self._total(runner)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Counts a batch.

        Args:
            runner: The runner.
            batch_idx: Index of the batch in the epoch.
            data_batch: The batch.
            outputs: What the step logs; gets the count.
        """
        samples = (data_batch.get('data_samples') if isinstance(data_batch, dict) else None) or []
        new = torch.tensor(count_replaced(samples))
        all_reduce(new)
        total = self._total(runner) + int(new)
        runner.message_hub.update_info(KEY, total)
        runner.message_hub.update_scalar(f'train/{KEY}', total)
        if outputs is not None:
            outputs[KEY] = total

    def after_train_epoch(self, runner: Any) -> None:
        """Warns if there were any.

        Args:
            runner: The runner.
        """
        new = self._total(runner) - self._at_epoch_start
        if new:
            runner.logger.warning(
                f'Epoch {runner.epoch + 1}: {new} clips could not be decoded and were replaced by others, '
                f'{self._total(runner)} since the start. "Skipped:" in the log names each file once.'
            )

    @staticmethod
    def _total(runner: Any) -> int:
        return int(runner.message_hub.runtime_info.get(KEY, 0))
