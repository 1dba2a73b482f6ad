"""Configs: loading, overriding from the command line, and checking that every key arrives somewhere."""

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine import registry as root
from mmengine.config import Config, DictAction
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmengine.utils import get_object_from_string, import_modules_from_strings

from stgt_mm import registry as own
from stgt_mm.utils import did_you_mean

Path_ = tuple[str, ...]

_TOP_LEVEL = {
    'runner_type', 'custom_imports', 'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn', 'compile',
    'activation_checkpointing', 'load_strict',
} | set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}  # fmt: skip
_OWN_REGISTRIES = [value for value in vars(own).values() if isinstance(value, Registry)]
_ROOT_REGISTRIES = [
    root.OPTIMIZERS,
    root.VISUALIZERS,
    root.VISBACKENDS,
    root.LOG_PROCESSORS,
    root.MODEL_WRAPPERS,
]
_REGISTRIES = [*_OWN_REGISTRIES, *_ROOT_REGISTRIES]
# where a word in the path of a component says which registry is asked first
_HINTS = {
    'pipeline': own.TRANSFORMS, 'transforms': own.TRANSFORMS, 'dataset': own.DATASETS,
    'optimizer': root.OPTIMIZERS,
    'sampler': own.DATA_SAMPLERS, 'batch_sampler': own.DATA_SAMPLERS, 'collate_fn': own.FUNCTIONS,
    'worker_init_fn': own.FUNCTIONS, 'tokenizer': own.TOKENIZERS, 'model': own.MODELS, 'custom_hooks': own.HOOKS, 'default_hooks': own.HOOKS,
    'optim_wrapper': own.OPTIM_WRAPPERS, 'param_scheduler': own.PARAM_SCHEDULERS, 'train_cfg': own.LOOPS,
    'val_cfg': own.LOOPS, 'test_cfg': own.LOOPS, 'val_evaluator': own.METRICS, 'test_evaluator': own.METRICS,
    'visualizer': root.VISUALIZERS, 'vis_backends': root.VISBACKENDS, 'runner_type': own.RUNNERS,
}  # fmt: skip
# keys that the code which builds a component takes for itself
_CONSUMED = {
    'optim_wrapper': {'optimizer', 'constructor', 'paramwise_cfg'},
    'custom_hooks': {'priority'},
    'default_hooks': {'priority'},
    'param_scheduler': {'convert_to_iter_based', 'by_epoch', 'begin', 'end'},
    'model': {'data_preprocessor', 'init_cfg'},
}
_ALWAYS = {'type', '_scope_', '_delete_'}
_LOADER = {
    'dataset', 'sampler', 'batch_sampler', 'collate_fn', 'batch_size', 'num_workers', 'persistent_workers',
    'pin_memory', 'prefetch_factor', 'drop_last', 'timeout', 'worker_init_fn', 'num_batch_per_epoch',
    'disable_subprocess_warning', 'multiprocessing_context',
}  # fmt: skip
_PLAIN_SECTIONS = {
    'train_dataloader': _LOADER,
    'val_dataloader': _LOADER,
    'test_dataloader': _LOADER,
    'randomness': {'seed', 'diff_rank_seed', 'deterministic'},
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'paramwise_cfg': {'custom_keys'},
    'clip_grad': {'type', 'max_norm', 'norm_type', 'error_if_nonfinite', 'foreach', 'clip_value'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
}
_DATA_SECTIONS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load_config(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Loads a config file and applies overrides to it.

    The result holds strings and no classes as ``type``, so that a dump of it loads again.

    Args:
        path: A Python config, of the new style or a dump.
        overrides: ``{dotted key: value}``, e.g. from :func:`parse_overrides`. A changed ``type`` drops the keys
            that the new component does not take, and prints each; a key that arrives nowhere is an error.

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
    cfg.setdefault('default_scope', own.SCOPE)
    overrides = dict(overrides or {})
    if 'custom_imports.imports' in overrides or 'custom_imports' in overrides:
        _set(cfg, *_split(overrides, 'custom_imports'))
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg['custom_imports'])
    for key in _types_first(overrides):
        apply_override(cfg, key, overrides[key], overrides)
    validate_config(cfg, overrides)
    return Config(cfg, filename=str(path))


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
    if parts[0] not in cfg and parts[0] not in _TOP_LEVEL:
        raise ValueError(
            f"--cfg-options {key}: the config has no '{parts[0]}'. "
            f'{did_you_mean(parts[0], {*cfg, *_TOP_LEVEL})}'
        )
    if len(parts) > 1 and parts[-1] == 'type':
        parent = _walk(cfg, parts[:-1], key)
        if isinstance(parent, dict) and parent.get('type') not in (None, value):
            _switch_type(parent, value, parts[:-1], overrides)
    _set(cfg, key, value)


def _switch_type(node: dict[str, Any], new_type: Any, path: Path_, overrides: Mapping[str, Any]) -> None:
    accepted = accepted_keys(resolve_type(new_type, path), path)
    if accepted is None:
        return
    prefix = '.'.join(path)
    for key in list(node):
        typed = any(other == f'{prefix}.{key}' or other.startswith(f'{prefix}.{key}.') for other in overrides)
        if key not in accepted | _ALWAYS and not typed:
            print(f'{prefix}: {new_type} takes no {key}, dropped {key}={_short(node.pop(key))}')


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'


def _walk(cfg: dict[str, Any], parts: Path_, key: str) -> Any:
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


def resolve_type(name: Any, path: Path_ = ()) -> Callable[..., Any]:
    """Finds the class or function that a ``type`` means.

    Args:
        name: A registered name, a dotted name, or the object itself.
        path: Where in the config it stands: decides which registry is asked first.

    Returns:
        The object.

    Raises:
        KeyError: If there is none; the message suggests the nearest name.
    """
    if not isinstance(name, str):
        return name
    hinted = [_HINTS[part] for part in reversed(path) if part in _HINTS]
    for registry in [*hinted, *_REGISTRIES]:
        found = _lookup(registry, name)
        if found is not None:
            return found
    if '.' in name:
        try:
            return get_object_from_string(name)
        except (ImportError, AttributeError, ValueError):
            pass
    where = '.'.join(path) or 'the config'
    known = {item for registry in (hinted[:1] or _REGISTRIES) for item in _names(registry)}
    raise KeyError(
        f"{where}: nothing is called '{name}'. {did_you_mean(name, known)} "
        'A class of your own is found through custom_imports.imports=[your.module].'
    )


def _lookup(registry: Registry, name: str) -> Any:
    node: Registry | None = registry
    while node is not None:
        node.import_from_location()
        if name in node.module_dict:
            return node.module_dict[name]
        node = node.parent
    return None


def _names(registry: Registry) -> Iterator[str]:
    node: Registry | None = registry
    while node is not None:
        yield from node.module_dict
        node = node.parent


def accepted_keys(component: Callable[..., Any], path: Path_ = ()) -> set[str] | None:
    """Lists the keys that a component takes in a config.

    Args:
        component: Class or function.
        path: Where in the config it stands.

    Returns:
        The keys, or None if it takes any (``**kwargs``).
    """
    try:
        parameters = inspect.signature(component).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    names = {parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL}
    consumed = _CONSUMED.get(path[0], set()) if path else set()
    return names | consumed | ({'num_batch_per_epoch'} if path and path[0] in _DATA_SECTIONS else set())


def validate_config(cfg: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> None:
    """Checks every component of a config against the signature of its class.

    Args:
        cfg: Plain nested dict or config.
        overrides: What the user typed; those keys are checked also where no ``type`` tells what is taken.

    Raises:
        KeyError: If a component is unknown.
        ValueError: If a key does not bind; the message suggests the nearest one.
    """
    for path, node in _components(cfg, ()):
        accepted = accepted_keys(resolve_type(node['type'], path), path)
        if accepted is None:
            continue
        for key in node:
            if key not in accepted | _ALWAYS:
                where = '.'.join(path)
                raise ValueError(
                    f"{where}: {_name(node['type'])} takes no '{key}'. {did_you_mean(str(key), accepted)}"
                )
    for key in overrides or {}:
        _check_plain_section(cfg, tuple(key.split('.')))


def _name(kind: Any) -> str:
    return str(getattr(kind, '__name__', kind)).rsplit('.', 1)[-1]


def _components(node: Any, path: Path_) -> Iterator[tuple[Path_, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        # clip_grad's type is a word of mmengine, not a component
        if 'type' in node and path[-1:] != ('clip_grad',) and path:
            yield path, node
        for key, value in node.items():
            yield from _components(value, (*path, str(key)))
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _components(value, (*path, str(index)))


def _check_plain_section(cfg: Mapping[str, Any], parts: Path_) -> None:
    for depth in range(1, len(parts)):
        known = _PLAIN_SECTIONS.get(parts[depth - 1])
        if known is not None and parts[depth] not in known:
            where = '.'.join(parts[:depth])
            raise ValueError(
                f"--cfg-options: {where} takes no '{parts[depth]}'. {did_you_mean(parts[depth], known)}"
            )


def _similar_files(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path('configs')
    found = (
        [str(file) for file in sorted(folder.rglob('*.py')) if '_base_' not in file.parts]
        if folder.is_dir()
        else []
    )
    return did_you_mean(str(path), found) if found else f'The folder {path.parent} holds no config.'
