"""Configs: loading, and overriding from the command line."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmengine.config import Config, DictAction
from mmengine.utils import import_modules_from_strings

from stgt_mm.config_check import ALWAYS, TOP_LEVEL, Keys, accepted_keys, resolve_type, validate_config
from stgt_mm.registry import SCOPE, short_repr
from stgt_mm.utils import did_you_mean


class _Config(Config):
    """A config that formats its text once for each content: it takes seconds, and a run asks for it often."""

    _texts: ClassVar[dict[str, str]] = {}

    @property
    def pretty_text(self) -> str:
        """The config as formatted Python."""
        content = repr(self.to_dict())
        if content not in self._texts:
            self._texts[content] = super().pretty_text
        return self._texts[content]


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
        ValueError: If an override or a key does not fit, or the file is no Python.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no config at '{path}'. {_similar_files(path)}")
    try:
        cfg = Config.fromfile(str(path)).to_dict()
    except SyntaxError as error:
        line = (error.text or '').strip()
        where = path if line in path.read_text(encoding='utf-8') else f'a base of {path}'
        raise ValueError(f'{where}:{error.lineno}: {error.msg}: {line}') from error
    cfg.setdefault('default_scope', SCOPE)
    overrides = dict(overrides or {})
    for key in overrides:
        if key == 'custom_imports' or key.startswith('custom_imports.'):
            _set(cfg, key, overrides[key])
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg['custom_imports'])
    if 'data_root' in overrides:
        cfg = _move_data(cfg, str(overrides.pop('data_root')))
    # a new type decides which keys there are; the outer one before the inner
    typed = sorted((key for key in overrides if key.endswith('.type')), key=lambda key: key.count('.'))
    for key in dict.fromkeys([*typed, *overrides]):
        apply_override(cfg, key, overrides[key], overrides)
    validate_config(cfg, overrides)
    return _Config(cfg, filename=str(path))


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

    def place(text: str) -> str:
        below = text == old or text.startswith(f'{old}/')
        return (f'{new.rstrip("/")}{text[len(old) :]}' or new) if below else text

    def move(node: Any, key: str = '') -> Any:
        nonlocal changed
        if isinstance(node, dict):
            return {name: move(value, name) for name, value in node.items()}
        if isinstance(node, (list, tuple)):
            return type(node)(move(value) for value in node)
        if isinstance(node, str) and key == 'made_by':
            # a command that names paths; no value that a run reads, so it is not counted
            return ' '.join(place(word) for word in node.split(' '))
        if isinstance(node, str) and place(node) != node:
            changed += 1
            return place(node)
        return node

    cfg = {key: value if key == 'data_root' else move(value) for key, value in cfg.items()}
    print(f'data_root: {old} -> {new} in {changed} values')
    return {**cfg, 'data_root': new}


def parse_overrides(options: Sequence[str]) -> dict[str, Any]:
    """Parses ``KEY=VALUE`` options to ``{dotted key: value}``; one without ``=`` is a ValueError.

    A value may be a number, True, None, a string, a list or tuple of those, or a Python dict.
    """
    parsed: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition('=')
        if not equals or not key:
            raise ValueError(
                f"--cfg-options takes KEY=VALUE, not '{option}'. Example: train_cfg.max_epochs=3"
            )
        try:
            parsed[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            # words without quotes, alone or in a list
            parsed[key] = DictAction._parse_iterable(value)
    return parsed


def apply_override(cfg: dict[str, Any], key: str, value: Any, overrides: Mapping[str, Any]) -> None:
    """Sets the value of a dotted key, in place; numbers index lists.

    Where ``type`` changes, keys that the new component does not take are dropped, but for those in
    ``overrides``. A key that leads nowhere is a ValueError.
    """
    *parents, last = key.split('.')
    top = (parents or [last])[0]
    if top not in TOP_LEVEL:
        what = 'a variable of the config that nothing reads any more' if top in cfg else 'no key of a config'
        raise ValueError(f"--cfg-options {key}: '{top}' is {what}. {did_you_mean(top, TOP_LEVEL)}")
    if parents and last == 'type':
        node = _walk(cfg, tuple(parents), key)
        if isinstance(node, dict) and node.get('type') not in (None, value):
            accepted = accepted_keys(resolve_type(value, tuple(parents)), tuple(parents))
            prefix = '.'.join(parents)
            for name in list(node) if accepted is not None else ():
                full = f'{prefix}.{name}'
                typed = any(other == full or other.startswith(f'{full}.') for other in overrides)
                if name not in accepted | ALWAYS and not typed:
                    dropped = short_repr(node.pop(name), most=80)
                    print(f'{prefix}: {value} takes no {name}, dropped {name}={dropped}')
    if last == 'ann_file' and f'{".".join(parents)}.made_by' not in overrides:
        _walk(cfg, tuple(parents), key).pop('made_by', None)  # it makes the file that the config named
    _set(cfg, key, value)


def _walk(cfg: dict[str, Any], parts: Keys, key: str) -> Any:
    node: Any = cfg
    for depth, part in enumerate(parts):
        slot = _slot(node, parts[:depth], part, key)
        if isinstance(node, dict) and node.get(part) is None:
            node[part] = {}
        node = node[slot]
    return node


def _slot(node: Any, where: Keys, part: str, key: str) -> int | str:
    if isinstance(node, list):
        if not part.isdigit() or int(part) >= len(node):
            raise ValueError(f"--cfg-options {key}: '{part}' is no index of a list of {len(node)} (from 0).")
        return int(part)
    if not isinstance(node, dict):
        raise ValueError(f"--cfg-options {key}: {'.'.join(where)} is {node!r} and has no '{part}'.")
    return part


def _set(cfg: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split('.')
    parent = _walk(cfg, tuple(parents), key)
    parent[_slot(parent, tuple(parents), last, key)] = value


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
