"""What a config may say: which component a ``type`` means, and whether every key arrives somewhere."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import NoneType
from typing import Any, get_args, get_type_hints

from mmengine import registry as root
from mmengine.registry import Registry
from mmengine.utils import get_object_from_string

from stgt_mm import registry as own
from stgt_mm.utils import did_you_mean

Keys = tuple[str, ...]

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
    'worker_init_fn': own.FUNCTIONS, 'tokenizer': own.TOKENIZERS, 'model': own.MODELS,
    'custom_hooks': own.HOOKS, 'default_hooks': own.HOOKS,
    'optim_wrapper': own.OPTIM_WRAPPERS, 'param_scheduler': own.PARAM_SCHEDULERS, 'train_cfg': own.LOOPS,
    'val_cfg': own.LOOPS, 'test_cfg': own.LOOPS, 'val_evaluator': own.METRICS, 'test_evaluator': own.METRICS,
    'post_processors': own.POST_PROCESSORS,
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
ALWAYS = {'type', '_scope_', '_delete_'}
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


def resolve_type(name: Any, path: Keys = ()) -> Callable[..., Any]:
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
    if '.' in name:
        with suppress(ImportError, AttributeError, ValueError):
            found = get_object_from_string(name)
            if callable(found):
                return found
    hinted = [_HINTS[part] for part in reversed(path) if part in _HINTS]
    for registry in [*hinted, *_REGISTRIES]:
        found = _lookup(registry, name)
        if found is not None:
            return found
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


def accepted_keys(component: Callable[..., Any], path: Keys = ()) -> set[str] | None:
    """Lists the keys that a component takes in a config.

    Args:
        component: Class or function.
        path: Where in the config it stands.

    Returns:
        The keys, those of its base classes too if it takes ``**kwargs``; None if it takes any.
    """
    names = set(_CONSUMED.get(path[0], set()) if path else set())
    if path and path[0] in _DATA_SECTIONS:
        names.add('num_batch_per_epoch')
    for parameters in _parameters(component):
        names |= {
            item.name for item in parameters if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)
        }
        if not any(item.kind is item.VAR_KEYWORD for item in parameters):
            return names
    return None


def _parameters(component: Callable[..., Any]) -> Iterator[list[inspect.Parameter]]:
    """Of a function or class, then of each base class: ``**kwargs`` of one are those of the next."""
    bases = [base for base in getattr(component, '__mro__', ()) if '__init__' in vars(base)]
    # the first of them is what the class itself shows
    for item in [component, *bases[1:]]:
        try:
            if item is not object:
                yield list(inspect.signature(item).parameters.values())
        except (TypeError, ValueError):
            return


def validate_config(cfg: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> None:
    """Checks every component of a config against the signature of its class.

    Args:
        cfg: Plain nested dict or config.
        overrides: What the user typed; those keys are checked also where no ``type`` tells what is taken.

    Raises:
        KeyError: If a component is unknown.
        ValueError: If a key does not bind (the message suggests the nearest one), or a word stands where a
            number is wanted.
    """
    for path, node in _components(cfg, ()):
        component = resolve_type(node['type'], path)
        _check_numbers(component, node, path)
        accepted = accepted_keys(component, path)
        if accepted is None:
            continue
        for key in node:
            if key not in accepted | ALWAYS:
                where = '.'.join(path)
                raise ValueError(
                    f"{where}: {_name(node['type'])} takes no '{key}'. {did_you_mean(str(key), accepted)}"
                )
    for key in overrides or {}:
        _check_plain_section(cfg, tuple(key.split('.')))


def _check_numbers(component: Callable[..., Any], node: Mapping[str, Any], path: Keys) -> None:
    """Finds words where the signature wants a number; all else is left to the component."""
    try:
        hints = get_type_hints(component.__init__ if isinstance(component, type) else component)
    except (TypeError, NameError, AttributeError):
        return
    for key, value in node.items():
        hint = hints.get(key)
        kinds = set(get_args(hint)) or {hint}
        if isinstance(value, str) and hint is not None and kinds <= {int, float, bool, NoneType}:
            wanted = ' or '.join(sorted(kind.__name__ for kind in kinds)).replace('NoneType', 'None')
            where = '.'.join((*path, str(key)))
            raise ValueError(f"{where}='{value}': {_name(node['type'])} wants {wanted} there, no word.")


def _name(kind: Any) -> str:
    return str(getattr(kind, '__name__', kind)).rsplit('.', 1)[-1]


def _components(node: Any, path: Keys) -> Iterator[tuple[Keys, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        # clip_grad's type is a word of mmengine, not a component
        if 'type' in node and path[-1:] != ('clip_grad',) and path:
            yield path, node
        for key, value in node.items():
            yield from _components(value, (*path, str(key)))
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _components(value, (*path, str(index)))


def _check_plain_section(cfg: Mapping[str, Any], parts: Keys) -> None:
    for depth in range(1, len(parts)):
        in_choice = parts[: depth - 1] in (('val_cfg', 'choices'), ('test_cfg', 'choices'))
        known = _LOADER if in_choice else _PLAIN_SECTIONS.get(parts[depth - 1])
        if known is not None and parts[depth] not in known:
            where = '.'.join(parts[:depth])
            raise ValueError(
                f"--cfg-options: {where} takes no '{parts[depth]}'. {did_you_mean(parts[depth], known)}"
            )
