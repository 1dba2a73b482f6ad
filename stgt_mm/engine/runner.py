"""The runner: mmengine's, with checkpoints that survive a kill and say what does not fit."""

import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import master_only
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from stgt_mm.config_check import resolve_type
from stgt_mm.engine.checkpoint.content import restore_training, training_state
from stgt_mm.engine.checkpoint.files import read_checkpoint, write_checkpoint
from stgt_mm.engine.checkpoint.fingerprint import training_fingerprint
from stgt_mm.engine.checkpoint.resume import (
    check_resumable,
    check_same_training,
    newest_whole_checkpoint,
    training_data,
)
from stgt_mm.engine.checkpoint.weights import Strictness, frozen_parts, load_weights
from stgt_mm.engine.console import short_console
from stgt_mm.engine.errors import CheckpointError
from stgt_mm.engine.launcher import init_distributed
from stgt_mm.io.weight_files import CONVERT_COMMAND
from stgt_mm.registry import RUNNERS
from stgt_mm.utils import bare_model


@RUNNERS.register_module()
class VideoTextRunner(Runner):
    """Trains and tests from a config; see :class:`mmengine.runner.Runner` for the arguments.

    A checkpoint is a dict of plain values: ``meta`` (epoch, iter, config text, fingerprint of the training),
    ``state_dict`` (trained parameters and buffers), ``frozen`` (source and hash of each frozen part that is
    left out), ``optimizer``, ``param_schedulers`` and ``message_hub``. The position inside an epoch follows
    from ``iter``.
    """

    def build_logger(self, *args: Any, **kwargs: Any) -> Any:
        """Builds the logger; the long dumps at the start go to its file alone."""
        return short_console(super().build_logger(*args, **kwargs))

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Sets the process group up, without a GPU if there is none."""
        init_distributed(self.launcher)
        super().setup_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        """Moves the model to its device and wraps it if there are several processes."""
        if self.distributed and not torch.cuda.is_available():
            find_unused = self.cfg.get('find_unused_parameters', False)
            defaults = {'device_ids': None, 'broadcast_buffers': False, 'find_unused_parameters': find_unused}
            model_wrapper_cfg = {**defaults, **(model_wrapper_cfg or {})}
        return super().wrap_model(model_wrapper_cfg, model)

    def register_default_hooks(self, hooks: dict[str, Any] | None = None) -> None:
        """Registers the hooks that every run has; ``hooks`` replaces them by name, None removes one."""
        defaults: dict[str, Any] = {
            'runtime_info': {'type': 'RuntimeInfoHook'},
            'timer': {'type': 'IterTimerHook'},
            'logger': {'type': 'LoggerHook', 'interval': 50},
            'param_scheduler': {'type': 'ParamSchedulerHook'},
            'replaced_clips': {'type': 'ReplacedClipsHook'},
            'metrics_file': {'type': 'MetricsFileHook'},
            'progress': {'type': 'ProgressHook'},
            'checkpoint': {'type': 'VideoTextCheckpointHook'},
        }
        defaults.update(hooks or {})
        for hook in defaults.values():
            if hook is not None:
                self.register_hook(hook)

    @staticmethod
    def build_dataloader(
        dataloader: Any, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Builds a data loader; functions in it are found by their names in our registry too."""
        if isinstance(dataloader, dict):
            dataloader = copy.deepcopy(dataloader)
            for key in ('collate_fn', 'worker_init_fn'):
                if isinstance(dataloader.get(key), dict):
                    dataloader[key]['type'] = resolve_type(dataloader[key]['type'], (key,))
        return Runner.build_dataloader(dataloader, seed, diff_rank_seed)

    @property
    def bare_model(self) -> nn.Module:
        """The model without the wrapper of distributed training."""
        return bare_model(self.model)

    @cached_property
    def config_text(self) -> str:
        """The config as Python text; formatting it takes a second, so it is done once."""
        return self.cfg.pretty_text

    @cached_property
    def _frozen_parts(self) -> dict[str, dict[str, str]]:
        # frozen weights do not change, and hashing a billion of them takes seconds
        return frozen_parts(self.bare_model)

    def fingerprint(self) -> dict[str, str]:
        """Returns what of the config decides the course of training, flattened."""
        return training_fingerprint(self.cfg.to_dict(), self.world_size)

    @master_only
    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict[str, Any] | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict[str, Any] | None = None,
        by_epoch: bool = True,
        backend_args: dict[str, Any] | None = None,
        save_frozen: bool = False,
    ) -> None:
        """Writes a whole checkpoint or, with a full disk or weights that are not finite, none: an error.

        ``meta`` may override ``epoch`` and ``iter``, which count the epoch (``by_epoch``) or the iteration
        that now ends. ``save_frozen`` keeps the weights of frozen parts and not just their source and hash.
        """
        if file_client_args or backend_args:
            raise ValueError(
                'checkpoints are written to local folders only; drop file_client_args and backend_args.'
            )
        path = Path(out_dir) / filename
        parameters = self.bare_model.named_parameters()
        bad = [key for key, value in parameters if not bool(value.isfinite().all())]
        if bad:
            raise CheckpointError(
                f'{path} is not written: {len(bad)} parameters are NaN or infinite '
                f'({", ".join(bad[:3])}, ...). The last update did it. Earlier checkpoints are untouched: go '
                'on from the newest with --resume, or start again with a lower learning rate or clip_grad.'
            )
        position = {'epoch': self.epoch + by_epoch, 'iter': self.iter + (not by_epoch), **(meta or {})}
        parts = {} if save_frozen else self._frozen_parts
        checkpoint = training_state(self, position, parts, save_optimizer, save_param_scheduler)
        self.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        write_checkpoint(checkpoint, path)

    def load_checkpoint(
        self,
        filename: str,
        map_location: Any = 'cpu',
        strict: Strictness | None = None,
        revise_keys: list[Any] | None = None,
    ) -> dict[str, Any]:
        """Loads weights from a ``.pth`` or ``.safetensors`` file; what does not fit is a CheckpointError.

        ``strict`` is that of ``load_weights``; None takes ``load_strict`` of the config, true by default.
        """
        if revise_keys:
            raise ValueError(f'revise_keys is not supported; convert the checkpoint: {CONVERT_COMMAND}')
        checkpoint = read_checkpoint(filename, map_location)
        self._apply_weights(checkpoint, filename, strict)
        return checkpoint

    def _apply_weights(self, checkpoint: dict[str, Any], name: str, strict: Strictness | None) -> None:
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        strict = self.cfg.get('load_strict', True) if strict is None else strict
        for line in load_weights(self.bare_model, checkpoint, str(name), strict):
            self.logger.warning(line)
        self._has_loaded = True
        self.logger.info(f'Loaded the weights of {name}')

    def load_or_resume(self) -> None:
        """Loads weights or goes on with a run, as ``load_from`` and ``resume`` of the config say.

        ``resume=True`` with ``load_from`` goes on from that file. ``resume='auto'``, or True without
        ``load_from``, goes on from the newest checkpoint of the work_dir; if there is none yet, training
        starts, from the weights in ``load_from`` if that is set.
        """
        if self._has_loaded:
            return
        source = self._load_from if self._resume is True else None
        if self._resume and source is None:
            source = newest_whole_checkpoint(self.work_dir, self.logger)
            if source is None:
                self.logger.warning(
                    f'--resume: no checkpoint in {self.work_dir} yet, training starts from the beginning.'
                )
        if source is not None:
            self.resume(source)
        elif self._load_from is not None:
            self.load_checkpoint(self._load_from)

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: Any = 'default',
    ) -> None:
        """Goes on where a checkpoint of this very training left it; of another it is a CheckpointError.

        mmengine's own method cannot load what it saved: it unpickles objects that torch refuses.
        """
        location = get_device() if map_location == 'default' else map_location
        checkpoint = read_checkpoint(filename, location)
        check_resumable(checkpoint, filename)
        check_same_training(checkpoint, filename, self.fingerprint(), training_data(self.train_loop))
        self._apply_weights(checkpoint, filename, strict=True)
        try:
            restore_training(self, checkpoint, resume_optimizer, resume_param_scheduler)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f'{filename} does not hold the state of this training ({type(error).__name__}: {error}). '
                'Resume from an earlier checkpoint.'
            ) from error
        self.logger.info(f'Resumed {filename} at epoch {self.epoch}, step {self.iter}')
