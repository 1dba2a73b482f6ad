"""Configs: loading, and overriding from the command line."""

import ast
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from stgt_mm.config_check import ALWAYS, Keys, accepted_keys, resolve_type, validate_config
from stgt_mm.registry import SCOPE
from stgt_mm.utils import did_you_mean

_TOP_LEVEL = {
    'runner_type', 'custom_imports', 'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn', 'compile',
    'activation_checkpointing', 'load_strict',
} | set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}  # fmt: skip


def load_config(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Loads a config file and applies overrides to it.

    The result holds strings and no classes as ``type``, so that a dump of it loads again.

    Args:
        path: A Python config, of the new style or a dump.
        overrides: ``{dotted key: value}``, e.g. from :func:`parse_overrides`. A changed ``type`` drops the
            keys that the new component does not take, and prints each; a new ``data_root`` replaces the old
            one at the beginning of all paths that the file has made of it; a key that arrives nowhere is an
            error.

    Returns:
        The config, with ``default_scope`` set.

    Raises:
        FileNotFoundError: If there is no such file; the message names similar ones.
        KeyError: If a component is unknown.
        ValueError: If an override or a key does not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no config at '{path}'. {_similar_files(path)}")
    cfg = Config.fromfile(str(path)).to_dict()
    cfg.setdefault('default_scope', SCOPE)
    overrides = dict(overrides or {})
    if 'custom_imports.imports' in overrides or 'custom_imports' in overrides:
        _set(cfg, *_split(overrides, 'custom_imports'))
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg['custom_imports'])
    if 'data_root' in overrides:
        cfg = _move_data(cfg, str(overrides.pop('data_root')))
    for key in _types_first(overrides):
        apply_override(cfg, key, overrides[key], overrides)
    validate_config(cfg, overrides)
    return Config(cfg, filename=str(path))


def _move_data(cfg: dict[str, Any], new: str) -> dict[str, Any]:
    """Replaces ``data_root`` where a value is it or lies below it, and says how many these are."""
    old = cfg.get('data_root')
    if not isinstance(old, str) or not old:
        raise ValueError(
            '--cfg-options data_root: this config has no such variable. Set the paths themselves: '
            'train_dataloader.dataset.ann_file, train_dataloader.dataset.video_root and so on.'
        )
    old, new = old.rstrip('/'), new.rstrip('/') or '/'
    changed = 0

    def move(node: Any) -> Any:
        nonlocal changed
        if isinstance(node, dict):
            return {key: move(value) for key, value in node.items()}
        if isinstance(node, (list, tuple)):
            return type(node)(move(value) for value in node)
        if isinstance(node, str) and (node == old or node.startswith(f'{old}/')):
            changed += 1
            return f'{new.rstrip("/")}{node[len(old) :]}' or new
        return node

    cfg = {key: value if key == 'data_root' else move(value) for key, value in cfg.items()}
    print(f'data_root: {old} -> {new} in {changed} values')
    return {**cfg, 'data_root': new}


def _split(overrides: Mapping[str, Any], prefix: str) -> tuple[str, Any]:
    key = next(key for key in overrides if key == prefix or key.startswith(f'{prefix}.'))
    return key, overrides[key]


def parse_overrides(options: Sequence[str]) -> dict[str, Any]:
    """Parses ``KEY=VALUE`` options.

    Args:
        options: E.g. ``['model.neck.num_layers=2', 'train_cfg.max_epochs=3']``; a value may be a number,
            True, None, a string, a list or tuple of those, or a Python dict.

    Returns:
        ``{dotted key: value}``.

    Raises:
        ValueError: If an option has no ``=``.
    """
    parsed: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition('=')
        if not equals or not key:
            raise ValueError(
                f"--cfg-options takes KEY=VALUE, not '{option}'. Example: train_cfg.max_epochs=3"
            )
        parsed[key] = _parse_value(value)
    return parsed


def _parse_value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        # words without quotes, alone or in a list
        return DictAction._parse_iterable(text)


def _types_first(overrides: Mapping[str, Any]) -> list[str]:
    # a new type decides which keys there are; the outer one before the inner
    return sorted(
        overrides, key=lambda key: (not key.endswith('.type'), key.count('.') if key.endswith('.type') else 0)
    )


def apply_override(cfg: dict[str, Any], key: str, value: Any, overrides: Mapping[str, Any]) -> None:
    """Sets one value in a config.

    Args:
        cfg: Plain nested dict, changed in place.
        key: Dotted key; numbers index lists.
        value: New value.
        overrides: All overrides: what they set is not dropped.

    Raises:
        ValueError: If the key leads nowhere.
    """
    parts = tuple(key.split('.'))
    if parts[0] not in _TOP_LEVEL:
        what = (
            'a variable of the config that nothing reads any more'
            if parts[0] in cfg
            else 'no key of a config'
        )
        raise ValueError(f"--cfg-options {key}: '{parts[0]}' is {what}. {did_you_mean(parts[0], _TOP_LEVEL)}")
    if len(parts) > 1 and parts[-1] == 'type':
        parent = _walk(cfg, parts[:-1], key)
        if isinstance(parent, dict) and parent.get('type') not in (None, value):
            _switch_type(parent, value, parts[:-1], overrides)
    _set(cfg, key, value)


def _switch_type(node: dict[str, Any], new_type: Any, path: Keys, overrides: Mapping[str, Any]) -> None:
    accepted = accepted_keys(resolve_type(new_type, path), path)
    if accepted is None:
        return
    prefix = '.'.join(path)
    for key in list(node):
        typed = any(other == f'{prefix}.{key}' or other.startswith(f'{prefix}.{key}.') for other in overrides)
        if key not in accepted | ALWAYS and not typed:
            print(f'{prefix}: {new_type} takes no {key}, dropped {key}={_short(node.pop(key))}')


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'


def _walk(cfg: dict[str, Any], parts: Keys, key: str) -> Any:
    node: Any = cfg
    for depth, part in enumerate(parts):
        if isinstance(node, list):
            node = node[_index(node, part, key)]
        elif isinstance(node, dict):
            if node.get(part) is None:
                node[part] = {}
            node = node[part]
        else:
            where = '.'.join(parts[:depth])
            raise ValueError(f"--cfg-options {key}: {where} is {node!r} and has no '{part}'.")
    return node


def _index(node: list[Any], part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(node):
        raise ValueError(f"--cfg-options {key}: '{part}' is no index of a list of {len(node)} (from 0).")
    return int(part)


def _set(cfg: dict[str, Any], key: str, value: Any) -> None:
    parts = tuple(key.split('.'))
    parent = _walk(cfg, parts[:-1], key)
    if isinstance(parent, list):
        parent[_index(parent, parts[-1], key)] = value
    elif isinstance(parent, dict):
        parent[parts[-1]] = value
    else:
        raise ValueError(
            f"--cfg-options {key}: {'.'.join(parts[:-1])} is {parent!r} and has no '{parts[-1]}'."
        )


def _similar_files(path: Path) -> str:
    # never below the working directory itself: a mistyped path must not search a whole disk
    files = [] if path.parent == Path() else list(path.parent.glob('*.py'))
    files += Path('configs').rglob('*.py')
    found = {
        str(file)
        for file in files
        if '_base_' not in file.parts and not any(part.startswith('.') for part in file.parts if part != '..')
    }
    return did_you_mean(str(path), found) if found else f'The folder {path.parent} holds no config.'
