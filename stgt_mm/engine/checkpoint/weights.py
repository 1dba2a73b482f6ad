"""The weights of a checkpoint: parts left out as frozen, and loading that accounts for every key."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from stgt_mm.engine.checkpoint.files import expect
from stgt_mm.engine.errors import CheckpointError
from stgt_mm.io.hashing import state_sha256
from stgt_mm.io.state import compare
from stgt_mm.utils import did_you_mean

Strictness = bool | Sequence[str]
Parts = Mapping[str, Mapping[str, str]]


def frozen_parts(model: nn.Module) -> dict[str, dict[str, str]]:
    """Names the frozen parts of a model: ``{dotted prefix: {'source': ..., 'sha256': ...}}``.

    A part is an outermost module whose attribute ``frozen`` is true and none of whose parameters is trained.
    """
    parts: dict[str, dict[str, str]] = {}
    for name, module in _frozen_modules(model).items():
        if not is_in(name, parts):
            source = getattr(module, 'checkpoint', None) or type(module).__name__
            parts[name] = {'source': str(source), 'sha256': state_sha256(module)}
    return parts


def _frozen_modules(model: nn.Module) -> dict[str, nn.Module]:
    def is_frozen(module: nn.Module) -> bool:
        trained = [parameter.requires_grad for parameter in module.parameters()]
        return getattr(module, 'frozen', False) is True and bool(trained) and not any(trained)

    return {name: module for name, module in model.named_modules() if name and is_frozen(module)}


def is_in(key: str, prefixes: Iterable[str]) -> bool:
    """Tells whether a dotted key is one of the prefixes (modules or parameters) or lies under one."""
    return any(key == prefix or key.startswith(f'{prefix}.') for prefix in prefixes)


def load_weights(
    model: nn.Module, checkpoint: dict[str, Any], name: str, strict: Strictness = True
) -> list[str]:
    """Loads a checkpoint into a model and accounts for every key; one that does not fit changes nothing.

    ``strict`` is True: missing, unexpected and mis-shaped keys are a CheckpointError. False: missing and
    unexpected ones are returned. Prefixes of keys (``['neck']``): the checkpoint need not have these, or has
    them in another shape, and they stay as they are; all else is strict. A frozen part that has loaded a file
    of its own (``checkpoint=``) need not be in the checkpoint.

    Returns lines that describe what was not loaded, empty when all was. ``name`` is that of the checkpoint in
    messages.
    """
    state = {re.sub(r'^module\.', '', key): value for key, value in checkpoint['state_dict'].items()}
    frozen = checkpoint.get('frozen') or {}
    own = model.state_dict()
    fresh = [] if isinstance(strict, bool) else _known_prefixes(strict, own)
    _check_frozen(model, frozen, name, strict is not False)
    misfit = compare(state, own)
    left = [key for key in own if is_in(key, fresh) and (key not in state or key in misfit.shapes)]
    loaded = [part for part, module in _frozen_modules(model).items() if getattr(module, 'checkpoint', None)]
    misfit = misfit._replace(
        missing=[key for key in misfit.missing if not is_in(key, [*left, *frozen, *loaded])],
        shapes={key: how for key, how in misfit.shapes.items() if key not in left},
    )
    lines = misfit.lines()
    if misfit.shapes or (lines and strict is not False):
        lines += getattr(model, 'explain_misfit', lambda names: [])(misfit.shapes)
        raise CheckpointError(
            f'{name} does not fit {type(model).__name__}: it holds {len(state)} tensors.\n'
            + '\n'.join(lines)
            + '\nIt comes from another architecture or from a model with other options. Use the config that '
            'trained it (a copy lies beside it in its work_dir) with the same --cfg-options, or, to start a '
            "training from the part that fits, name what may differ: load_strict=['neck'], or set "
            'load_strict=False.'
        )
    model.load_state_dict({key: value for key, value in state.items() if key not in left}, strict=False)
    kept = []
    for prefix in fresh:
        sizes = [own[key].numel() for key in left if is_in(key, [prefix])]
        if sizes:
            counts = f'{len(sizes)} tensors, {sum(sizes):,} values'
            kept.append(f'{prefix} keeps its initial weights: {counts}, not from {name}')
    return kept + lines


def _known_prefixes(prefixes: Sequence[str], own: Mapping[str, Tensor]) -> list[str]:
    known = {'.'.join(key.split('.')[:depth]) for key in own for depth in range(1, key.count('.') + 2)}
    prefixes = [prefixes] if isinstance(prefixes, str) else list(prefixes)
    for prefix in prefixes:
        if prefix not in known:
            raise ValueError(f"load_strict: the model has no '{prefix}'. {did_you_mean(str(prefix), known)}")
    return prefixes


def _check_frozen(model: nn.Module, frozen: Parts, name: str, strict: bool) -> None:
    present = frozen_parts(model) if frozen else {}
    for prefix, part in frozen.items():
        expect(part, dict, name, f'frozen {prefix}')
        have = present.get(prefix)
        if have is None and strict:
            raise CheckpointError(
                f'{name} was trained on a frozen {prefix} ({part.get("source")}) that it does not contain, '
                f'and the model has no frozen {prefix}. Give {prefix} the same weights and frozen=True.'
            )
        if have is not None and have['sha256'] != part.get('sha256'):
            raise CheckpointError(
                f'the frozen {prefix} differs from the one {name} was trained on:\n'
                f'  trained on {part.get("source")}, sha256 {str(part.get("sha256"))[:16]}\n'
                f'  present    {have["source"]}, sha256 {have["sha256"][:16]}\n'
                f'Point {prefix} to the same weights.'
            )
