"""The part of a configuration that decides what training computes."""

from collections.abc import Mapping
from typing import Any

from stgt_mm.config_check import type_name
from stgt_mm.registry import HOOKS

_SECTIONS = (
    'model',
    'data_preprocessor',
    'optim_wrapper',
    'param_scheduler',
    'train_cfg',
    'train_dataloader',
)
_IGNORED = {
    'ann_file', 'video_root', 'data_root', 'data_prefix', 'cache_dir', 'root', 'checkpoint', 'vocab',
    'init_cfg', 'made_by',
    'num_workers', 'persistent_workers', 'prefetch_factor', 'pin_memory', 'timeout', 'val_interval',
    'val_begin', 'dynamic_intervals', '_scope_',
}  # fmt: skip
_IGNORED_ENDINGS = ('_file', '_files', '_root', '_dir', '_path')


def training_fingerprint(cfg: Mapping[str, Any], world_size: int) -> dict[str, str]:
    """Flattens what decides the course of training: ``{dotted key of the config: value as text}``.

    Model, optimizer, schedule, data, seed, processes, hooks with ``changes_training``; not paths, workers,
    logging, other hooks and validation.
    """
    flat: dict[str, str] = {'processes': str(world_size)}
    for section in _SECTIONS:
        if cfg.get(section) is not None:
            _flatten(section, cfg[section], flat)
    _flatten('randomness.seed', (cfg.get('randomness') or {}).get('seed'), flat)
    scale = cfg.get('auto_scale_lr') or {}
    if scale.get('enable', False):
        _flatten('auto_scale_lr', scale, flat)
    for hook in [*(cfg.get('custom_hooks') or []), *(cfg.get('default_hooks') or {}).values()]:
        kind = hook.get('type') if isinstance(hook, Mapping) else None
        if getattr(HOOKS.get(kind) if isinstance(kind, str) else kind, 'changes_training', False):
            _flatten(f'hook.{type_name(kind)}', hook, flat)
    return flat


def _flatten(prefix: str, value: Any, flat: dict[str, str]) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in _IGNORED and not str(key).endswith(_IGNORED_ENDINGS):
                _flatten(f'{prefix}.{key}', item, flat)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _flatten(f'{prefix}.{index}', item, flat)
    else:
        flat[prefix] = type_name(value) if prefix.endswith('.type') else repr(value)
