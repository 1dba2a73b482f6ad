"""What of a model goes into a checkpoint, and loading that says exactly what does not fit."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from stgt_mm.engine.errors import CheckpointError
from stgt_mm.io.hashing import state_sha256
from stgt_mm.utils import did_you_mean

Strictness = bool | Sequence[str]
_LISTED = 12


def frozen_parts(model: nn.Module) -> dict[str, dict[str, str]]:
    """Names the frozen parts of a model by where they came from and a hash.

    A model may answer itself with a method of this name; else every outermost module whose attribute
    ``frozen`` is true and none of whose parameters is trained counts as one part.

    Args:
        model: Unwrapped model.

    Returns:
        ``{prefix: {'source': ..., 'sha256': ...}}``; ``prefix`` is the module's dotted name.
    """
    if hasattr(model, 'frozen_parts'):
        return model.frozen_parts()
    parts: dict[str, dict[str, str]] = {}
    for name, module in model.named_modules():
        inside = any(name == prefix or name.startswith(f'{prefix}.') for prefix in parts)
        if inside or not name or not _is_frozen(module):
            continue
        source = getattr(module, 'checkpoint', None) or type(module).__name__
        parts[name] = {'source': str(source), 'sha256': state_sha256(module)}
    return parts


def _is_frozen(module: nn.Module) -> bool:
    if getattr(module, 'frozen', False) is not True:
        return False
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def is_under(key: str, prefixes: Iterable[str]) -> bool:
    """Tells whether a dotted key lies under one of the prefixes.

    Args:
        key: Key of a state dict.
        prefixes: Dotted module names.

    Returns:
        True if it does.
    """
    return any(key.startswith(f'{prefix}.') for prefix in prefixes)


def is_in(key: str, prefixes: Iterable[str]) -> bool:
    """Tells whether a dotted key is one of the prefixes or lies under one.

    Args:
        key: Key of a state dict.
        prefixes: Dotted names of modules or parameters.

    Returns:
        True if so.
    """
    prefixes = list(prefixes)
    return key in prefixes or is_under(key, prefixes)


def trained_state(model: nn.Module, parts: Iterable[str]) -> dict[str, torch.Tensor]:
    """Collects what a checkpoint holds: parameters and buffers outside the frozen parts.

    Args:
        model: Unwrapped model.
        parts: Prefixes of the frozen parts; empty keeps everything.

    Returns:
        State dict on the CPU.
    """
    parts = list(parts)
    state = model.state_dict()
    return {key: value.detach().cpu() for key, value in state.items() if not is_under(key, parts)}


def load_weights(
    model: nn.Module, checkpoint: dict[str, Any], name: str, strict: Strictness = True
) -> list[str]:
    """Loads a checkpoint into a model and accounts for every key; one that does not fit changes nothing.

    A frozen part that has loaded a file of its own (``checkpoint=``) need not be in the checkpoint.

    Args:
        model: Unwrapped model.
        checkpoint: As :func:`stgt_mm.engine.checkpoint.files.read_checkpoint` gives it.
        name: What to call the checkpoint in messages.
        strict: True: missing, unexpected and mis-shaped keys stop. False: missing and unexpected ones are
            returned. Prefixes of keys (``['neck']``): the checkpoint need not have these, or has them in
            another shape, and they stay as they are; all else is strict.

    Returns:
        Lines that describe what was not loaded, empty when all was.

    Raises:
        CheckpointError: If a key does not fit and ``strict`` says so, if a shape differs, or if a frozen part
            is not the one the checkpoint was trained on.
        ValueError: If a prefix of ``strict`` is no part of the model.
    """
    state = {re.sub(r'^module\.', '', key): value for key, value in checkpoint['state_dict'].items()}
    frozen = checkpoint.get('frozen') or {}
    own = model.state_dict()
    fresh = [] if isinstance(strict, bool) else _known_prefixes(strict, own)
    _check_frozen(model, frozen, name, strict is not False)
    reshaped = [key for key in state if key in own and state[key].shape != own[key].shape]
    left = [key for key in own if is_in(key, fresh) and (key not in state or key in reshaped)]
    state = {key: value for key, value in state.items() if key not in left}
    elsewhere = {*frozen, *_loaded_parts(model)}
    missing = [key for key in own if key not in state and key not in left and not is_under(key, elsewhere)]
    misfits = _describe('missing in the checkpoint', missing)
    misfits += _describe('not in the model', [key for key in state if key not in own])
    shapes = [
        f'{key}: {tuple(state[key].shape)} in the checkpoint, {tuple(own[key].shape)} in the model'
        for key in reshaped
        if key not in left
    ]
    misfits += _describe('of another shape', shapes)
    if shapes or (misfits and strict is not False):
        raise CheckpointError(_misfit_message(name, model, misfits, len(checkpoint['state_dict'])))
    model.load_state_dict(state, strict=False)
    return _summary(left, own, fresh, name) + misfits


def _known_prefixes(prefixes: Sequence[str], own: Mapping[str, Any]) -> list[str]:
    known = {'.'.join(key.split('.')[:depth]) for key in own for depth in range(1, key.count('.') + 2)}
    prefixes = [prefixes] if isinstance(prefixes, str) else list(prefixes)
    for prefix in prefixes:
        if prefix not in known:
            raise ValueError(f"load_strict: the model has no '{prefix}'. {did_you_mean(str(prefix), known)}")
    return prefixes


def _loaded_parts(model: nn.Module) -> list[str]:
    """Names the frozen modules that have read a weight file of their own."""
    return [
        name
        for name, module in model.named_modules()
        if name and getattr(module, 'checkpoint', None) and _is_frozen(module)
    ]


def _summary(left: list[str], own: Mapping[str, torch.Tensor], fresh: list[str], name: str) -> list[str]:
    lines = []
    for prefix in fresh:
        keys = [key for key in left if is_in(key, [prefix])]
        if keys:
            values = sum(own[key].numel() for key in keys)
            lines.append(f'{prefix} starts anew: {len(keys)} tensors, {values:,} values, are not from {name}')
    return lines


def _describe(title: str, keys: list[str]) -> list[str]:
    if not keys:
        return []
    shown = [f'  {key}' for key in keys[:_LISTED]]
    if len(keys) > _LISTED:
        shown.append(f'  ... and {len(keys) - _LISTED} more')
    return [f'{len(keys)} {title}:', *shown]


def _misfit_message(name: str, model: nn.Module, lines: list[str], stored: int) -> str:
    return '\n'.join(
        [
            f'{name} does not fit {type(model).__name__}: it holds {stored} tensors.',
            *lines,
            'It comes from another architecture or from a model with other options. Use the config that '
            'trained it (a copy lies beside it in its work_dir) with the same --cfg-options, or, to start a '
            "training from the part that fits, name what may differ: load_strict=['neck'], or set "
            'load_strict=False.',
        ]
    )


def _check_frozen(model: nn.Module, frozen: dict[str, dict[str, str]], name: str, strict: bool) -> None:
    if not frozen:
        return
    present = frozen_parts(model)
    for prefix, part in frozen.items():
        have = present.get(prefix)
        if have is None:
            if not strict:
                continue
            raise CheckpointError(
                f'{name} was trained on a frozen {prefix} ({part["source"]}) that it does not contain, and '
                f'the model has no frozen {prefix}. Give {prefix} the same weights and frozen=True.'
            )
        if have['sha256'] != part['sha256']:
            raise CheckpointError(
                f'the frozen {prefix} differs from the one {name} was trained on:\n'
                f'  trained on {part["source"]}, sha256 {part["sha256"][:16]}\n'
                f'  present    {have["source"]}, sha256 {have["sha256"][:16]}\n'
                f'Point {prefix} to the same weights.'
            )
