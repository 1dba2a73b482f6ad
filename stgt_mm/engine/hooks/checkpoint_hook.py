"""When checkpoints are written and which ones are kept.

mmengine's ``CheckpointHook`` is no base for it: it deletes an old file before the new one is whole, and knows
of old files by a list in memory only.
"""

import math
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from stgt_mm.engine.checkpoint.files import POINTER, resume_candidates, write_text
from stgt_mm.io.whole_file import remove_partial_files
from stgt_mm.registry import HOOKS
from stgt_mm.utils import did_you_mean


@HOOKS.register_module()
class VideoTextCheckpointHook(Hook):
    """Saves after epochs, every so many steps, and the best on validation.

    Files in the work_dir: ``epoch_<n>.pth``, ``iter_<n>.pth``, ``best_<metric>.pth`` (replaced when a
    validation is better) and ``last_checkpoint``, which names the newest and is written after it.

    Args:
        interval: Epochs between checkpoints; the last epoch, also of a training that is stopped early, is
            always saved.
        interval_steps: Steps between checkpoints inside epochs, None for none.
        max_keep_ckpts: How many of the ``epoch_`` and ``iter_`` files stay, None for all.
        save_best: Validation metric such as ``'t2v/Rmean'``, None for none.
        rule: ``'greater'`` or ``'less'`` is better.
        save_frozen: Keep frozen weights in the file and not just their source and hash.

    Raises:
        ValueError: If an interval is not positive or the rule is unknown.
    """

    priority = 'VERY_LOW'

    def __init__(
        self,
        interval: int = 1,
        interval_steps: int | None = None,
        max_keep_ckpts: int | None = 3,
        save_best: str | None = None,
        rule: str = 'greater',
        save_frozen: bool = False,
    ):
        if rule not in ('greater', 'less'):
            raise ValueError(f"rule='{rule}'. {did_you_mean(rule, ['greater', 'less'])}")
        self.interval = interval
        self.interval_steps = interval_steps
        self.max_keep_ckpts = max_keep_ckpts
        for name, value in vars(self).items():
            if value is not None and value < 1:
                raise ValueError(f'{name}={value}: at least 1, or None.')
        self.save_best = save_best
        self.rule = rule
        self.save_frozen = save_frozen

    def before_train(self, runner: Any) -> None:
        """Clears half-written files; checks that no checkpoint falls between the batches of one update."""
        if is_main_process():
            remove_partial_files(runner.work_dir)
        counts = runner.optim_wrapper._accumulative_counts
        if self.interval_steps is not None and self.interval_steps % counts:
            raise ValueError(
                f'interval_steps={self.interval_steps} is no multiple of accumulative_counts={counts}: '
                f'gradients on the way would be lost; use {counts * math.ceil(self.interval_steps / counts)}.'
            )

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Saves every ``interval_steps`` steps."""
        epoch_follows = batch_idx + 1 == len(runner.train_dataloader) and self._saves_epoch(runner)
        if self.interval_steps and (runner.iter + 1) % self.interval_steps == 0 and not epoch_follows:
            self.save_step(runner)

    def _saves_epoch(self, runner: Any) -> bool:
        epoch = runner.epoch + 1
        return epoch % self.interval == 0 or epoch == runner.max_epochs or runner.train_loop.stop_training

    def save_step(self, runner: Any) -> None:
        """Saves ``iter_<n>.pth`` at the end of an iteration, before the loop counts it."""
        step = runner.iter + 1
        self._save(runner, f'iter_{step}.pth', {'epoch': runner.epoch, 'iter': step})

    def after_train_epoch(self, runner: Any) -> None:
        """Saves after an epoch."""
        epoch = runner.epoch + 1
        if self._saves_epoch(runner):
            self._save(runner, f'epoch_{epoch}.pth', {'epoch': epoch, 'iter': runner.iter})

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Saves the model if it is the best so far; a KeyError if the validation lacks ``save_best``."""
        if self.save_best is None or not metrics:
            return
        if self.save_best not in metrics:
            raise KeyError(f"save_best='{self.save_best}'. {did_you_mean(self.save_best, metrics)}")
        score = float(metrics[self.save_best])
        best = runner.message_hub.runtime_info.get('best_score')
        better = best is None or (score > best if self.rule == 'greater' else score < best)
        if math.isnan(score) or not better:
            return
        runner.message_hub.update_info('best_score', score)
        name = f'best_{self.save_best.replace("/", "_")}.pth'
        runner.save_checkpoint(
            runner.work_dir,
            name,
            save_optimizer=False,
            save_param_scheduler=False,
            meta={'epoch': runner.epoch, 'iter': runner.iter, 'best': {self.save_best: score}},
            save_frozen=self.save_frozen,
        )
        runner.logger.info(f'{self.save_best} {score:.2f} is the best so far: saved {name}')

    def _save(self, runner: Any, name: str, meta: dict[str, int]) -> None:
        runner.save_checkpoint(runner.work_dir, name, meta=meta, save_frozen=self.save_frozen)
        if is_main_process():
            write_text(Path(runner.work_dir) / POINTER, str(Path(runner.work_dir) / name))
            if self.max_keep_ckpts is not None:
                for path in resume_candidates(runner.work_dir)[self.max_keep_ckpts :]:
                    path.unlink(missing_ok=True)
