"""Counts of training clips that could not be decoded, or only by a reader that stands in."""

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook

from stgt_mm.registry import HOOKS

KEY = 'replaced_clips'
# what is logged, and the attribute of a data sample that lists it: a file tried twice is in it twice
_LISTS = {KEY: 'replaced', 'failed_readers': 'failed_readers'}


@HOOKS.register_module()
class ReplacedClipsHook(Hook):
    """Puts ``replaced_clips`` and ``failed_readers`` into the log and ``metrics.jsonl``.

    Both are numbers since the start of training: files that gave way to others, and failures of readers on
    clips that another reader then managed. All processes are counted, and a resumed run goes on counting
    where its checkpoint was. An epoch in which clips were replaced ends with a warning: a training that
    quietly leaves out a folder of damaged files looks like any other.
    """

    # before the hooks that write the log, the metrics and the checkpoint
    priority = 'NORMAL'

    def __init__(self) -> None:
        self._at_epoch_start = 0

    def before_train_epoch(self, runner: Any) -> None:
        """Remembers the count."""
        self._at_epoch_start = self._total(runner)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Counts a batch; ``outputs``, which the step logs, gets the counts."""
        samples = (data_batch.get('data_samples') if isinstance(data_batch, dict) else None) or []
        new = torch.tensor([sum(len(getattr(s, name, ())) for s in samples) for name in _LISTS.values()])
        all_reduce(new)
        for key, count in zip(_LISTS, new.tolist(), strict=True):
            total = self._total(runner, key) + count
            runner.message_hub.update_info(key, total)
            runner.message_hub.update_scalar(f'train/{key}', total)
            if outputs is not None:
                outputs[key] = total

    def after_train_epoch(self, runner: Any) -> None:
        """Warns if there were any."""
        new = self._total(runner) - self._at_epoch_start
        if new:
            runner.logger.warning(
                f'Epoch {runner.epoch + 1}: {new} clips could not be decoded and were replaced by others, '
                f'{self._total(runner)} since the start. "Skipped:" in the log names each file once.'
            )

    @staticmethod
    def _total(runner: Any, key: str = KEY) -> int:
        return int(runner.message_hub.runtime_info.get(key, 0))
