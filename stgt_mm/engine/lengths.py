"""The number of epochs stands in several places of a config; training starts only if they agree."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from stgt_mm.config_check import resolve_type
from stgt_mm.engine.hooks.alignment_stage_hook import AlignmentStageHook
from stgt_mm.engine.schedulers import StagedWarmupCosine


def check_epochs(cfg: Mapping[str, Any]) -> None:
    """Compares the loop's epochs with those of the curriculum, the learning rate and the objectives.

    Args:
        cfg: The whole configuration.

    Raises:
        ValueError: If they differ: a curriculum, a decay or a second stage would be cut off or never come.
    """
    epochs = (cfg.get('train_cfg') or {}).get('max_epochs')
    if epochs is None:
        return
    found = [('train_cfg.max_epochs', epochs, float(epochs)), *_other_lengths(cfg)]
    if any(abs(length - float(epochs)) > 1e-6 for _, _, length in found):
        lines = '\n'.join(f'  {key}={value!r}: {length:g} epochs' for key, value, length in found)
        raise ValueError(
            f'the lengths of the training do not agree:\n{lines}\nSet all of them with --cfg-options; stages '
            'are (epochs, value) pairs.'
        )


def _other_lengths(cfg: Mapping[str, Any]) -> Iterator[tuple[str, Any, float]]:
    sampler = (cfg.get('train_dataloader') or {}).get('batch_sampler') or {}
    if sampler.get('max_epochs') is not None:
        key = 'train_dataloader.batch_sampler.max_epochs'
        yield key, sampler['max_epochs'], float(sampler['max_epochs'])
    for key, schedule in _numbered('param_scheduler', cfg.get('param_scheduler')):
        if _is_a(schedule, StagedWarmupCosine, key) and schedule.get('convert_to_iter_based'):
            yield _stages(schedule, key)
    for key, hook in _numbered('custom_hooks', cfg.get('custom_hooks')):
        if _is_a(hook, AlignmentStageHook, key):
            yield _stages(hook, key)


def _numbered(name: str, node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, (list, tuple)):
        for index, item in enumerate(node):
            yield f'{name}.{index}', item
    else:
        yield name, node


def _is_a(node: Any, kind: type, key: str) -> bool:
    if not isinstance(node, Mapping) or 'type' not in node:
        return False
    found = resolve_type(node['type'], tuple(key.split('.')))
    return isinstance(found, type) and issubclass(found, kind)


def _stages(node: Mapping[str, Any], key: str) -> tuple[str, Any, float]:
    kind = resolve_type(node['type'], tuple(key.split('.')))
    stages = node.get('stages', inspect.signature(kind).parameters['stages'].default)
    try:
        return f'{key}.stages', stages, float(sum(float(length) for length, _ in stages))
    except (TypeError, ValueError) as error:
        raise ValueError(f'{key}.stages={stages!r}: a list of (epochs, value) pairs.') from error
