"""The content of a checkpoint of a running training, and putting it back."""

import time
from contextlib import suppress
from typing import Any

import mmengine
import torch

from stgt_mm.engine.checkpoint.files import to_plain
from stgt_mm.engine.checkpoint.resume import training_data
from stgt_mm.engine.checkpoint.weights import Parts, is_in
from stgt_mm.version import __version__

_NOT_RESUMED = ('cfg', 'loop_stage', 'dataset_meta', 'eta', 'epoch', 'iter', 'max_epochs', 'max_iters')


def training_state(
    runner: Any, meta: dict[str, Any], parts: Parts, save_optimizer: bool, save_param_scheduler: bool
) -> dict[str, Any]:
    """Collects a checkpoint of plain values, so that nothing has to be unpickled.

    ``meta`` has ``epoch`` and ``iter``; of the frozen ``parts`` only source and hash are kept.
    """
    info = {}
    for key, value in runner.message_hub.runtime_info.items():
        if key not in _NOT_RESUMED:
            with suppress(TypeError):  # what is no plain value is of the process and not of the training
                info[key] = to_plain(value)
    origin = {
        'cfg': runner.config_text,
        'fingerprint': runner.fingerprint(),
        'training_data': training_data(runner._train_loop),
        'seed': runner.seed,
        'experiment_name': runner.experiment_name,
        'time': time.strftime('%Y-%m-%d %H:%M:%S'),
        'mmengine_version': mmengine.__version__,
        'stgt_mm_version': __version__,
        'torch_version': str(torch.__version__),
    }
    state = runner.bare_model.state_dict()
    checkpoint = {
        'meta': to_plain({**meta, **origin}),
        'state_dict': {key: value.detach().cpu() for key, value in state.items() if not is_in(key, parts)},
        'frozen': to_plain(parts),
        'message_hub': {'runtime_info': info},
    }
    if save_optimizer:
        checkpoint['optimizer'] = to_plain(runner.optim_wrapper.state_dict())
    if save_param_scheduler and runner.param_schedulers is not None:
        checkpoint['param_schedulers'] = [to_plain(item.state_dict()) for item in runner.param_schedulers]
    return checkpoint


def restore_training(
    runner: Any, checkpoint: dict[str, Any], optimizer: bool = True, param_scheduler: bool = True
) -> None:
    """Puts everything but the weights back, from a dict of :func:`training_state`."""
    meta = checkpoint['meta']
    runner.train_loop.restore(meta['epoch'], meta['iter'])
    if meta['seed'] != runner.seed:
        # a run without a fixed seed drew one: the samplers and the steps go on with the same
        runner._randomness_cfg.update(seed=meta['seed'])
        runner.set_randomness(**runner._randomness_cfg)
        runner.train_loop.reseed(meta['seed'])
    for key, value in checkpoint['message_hub']['runtime_info'].items():
        runner.message_hub.update_info(key, value)
    if optimizer:
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.optim_wrapper.load_state_dict(checkpoint['optimizer'])
    if param_scheduler and runner.param_schedulers is not None:
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        for scheduler, state in zip(runner.param_schedulers, checkpoint['param_schedulers']):
            scheduler.load_state_dict(state)
