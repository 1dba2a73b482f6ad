"""Every step's numbers in a file that curves are drawn from."""

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from stgt_mm.engine.checkpoint.disk_space import explained_when_full
from stgt_mm.engine.checkpoint.files import write_text
from stgt_mm.registry import HOOKS

FILE_NAME = 'metrics.jsonl'
# Seconds of a step and of its data by the clock, from IterTimerHook, and of the CPU in this process.
TIMES = ('time', 'data_time', 'cpu_time')


@HOOKS.register_module()
class MetricsFileHook(Hook):
    """Appends one JSON line a step to ``metrics.jsonl`` in the work_dir, and one a validation.

    A step: ``{"step": 120, "epoch": 3, "lr": ..., "grad_norm": ..., "time": ..., "data_time": ...,
    "cpu_time": ..., "loss": ..., "loss_vtc": ..., ...}`` with its seconds, and all losses and diagnostics;
    step and epoch from 1. A validation: ``{"step": 120, "epoch": 3, "val/t2v/R1": ...}``.
    A resumed run first drops the lines of steps that it will do again; ``LocalVisBackend`` cannot, and reads
    every number from the device at once.

    Args:
        flush_interval: Steps between writes; the numbers stay on the device until then.

    Raises:
        ValueError: If the interval is not positive.
    """

    priority = 'BELOW_NORMAL'

    def __init__(self, flush_interval: int = 20):
        if flush_interval < 1:
            raise ValueError(f'flush_interval={flush_interval}: at least 1.')
        self.flush_interval = flush_interval
        self._records: list[dict[str, Any]] = []
        self._path = Path(FILE_NAME)
        self._cpu = time.process_time()

    def before_train(self, runner: Any) -> None:
        """Starts the file, or cuts it back to the step that is resumed."""
        self._path = Path(runner.work_dir) / FILE_NAME
        if is_main_process():
            # a validation at the very step that is resumed is done again
            kept = [
                json.dumps(record)
                for record in read_metrics(self._path, with_times=True)
                if record['step'] + any(key.startswith('val/') for key in record) <= runner.iter
            ]
            write_text(self._path, ''.join(f'{line}\n' for line in kept))

    def before_train_epoch(self, runner: Any) -> None:
        """Starts the CPU's clock: what is between epochs belongs to no step."""
        self._cpu = time.process_time()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Records a step."""
        record = {'step': runner.iter + 1, 'epoch': runner.epoch + 1}
        scalars = runner.message_hub.log_scalars
        for key in ('lr', 'grad_norm', *TIMES):
            if f'train/{key}' in scalars:
                record[key] = scalars[f'train/{key}'].current()
        before, self._cpu = self._cpu, time.process_time()
        record['cpu_time'] = self._cpu - before
        for key, value in (outputs or {}).items():
            record[key] = value.detach() if isinstance(value, torch.Tensor) else value
        self._records.append(record)
        if len(self._records) >= self.flush_interval:
            self._flush()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Records a validation."""
        record = {'step': runner.iter, 'epoch': runner.epoch}
        record.update({f'val/{key}': value for key, value in (metrics or {}).items()})
        self._records.append(record)
        self._flush()

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Writes what belongs before a checkpoint, so that a resumed run has no gap."""
        self._flush()

    def after_train(self, runner: Any) -> None:
        """Writes the rest."""
        self._flush()

    def _flush(self) -> None:
        records, self._records = self._records, []
        if not records or not is_main_process():
            return
        lines = [json.dumps({key: _number(value) for key, value in record.items()}) for record in records]
        with explained_when_full(self._path), open(self._path, 'a', encoding='utf-8') as file:
            file.write(''.join(f'{line}\n' for line in lines))


def read_metrics(path: str | Path, with_times: bool = False) -> list[dict[str, Any]]:
    """Reads a metrics file, a dict a line; none if there is no file, nor of a last line that a kill cut off.

    ``with_times`` keeps the seconds of each step: without them two runs of the same numbers are equal.
    """
    path = Path(path)
    records = []
    for line in path.read_text(encoding='utf-8').splitlines() if path.is_file() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            break
        records.append({key: value for key, value in record.items() if with_times or key not in TIMES})
    return records


def _number(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach().float().mean().item()
    if hasattr(value, 'item'):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
