"""The check of a config before anything is built: types, keys, values, numbers of epochs."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from types import NoneType
from typing import Any, get_args, get_type_hints

from mmengine import registry as root
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmengine.utils import get_object_from_string

from stgt_mm import registry as own
from stgt_mm.utils import did_you_mean

Keys = tuple[str, ...]

TOP_LEVEL = {
    'runner_type', 'custom_imports', 'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn', 'compile',
    'activation_checkpointing', 'load_strict', 'made_by',
} | set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}  # fmt: skip
_REGISTRIES = [value for value in vars(own).values() if isinstance(value, Registry)]
_REGISTRIES += [root.VISUALIZERS, root.VISBACKENDS, root.LOG_PROCESSORS, root.MODEL_WRAPPERS]
# where a word in the path of a component says which registry is asked first
_HINTS = {
    'pipeline': own.TRANSFORMS, 'transforms': own.TRANSFORMS, 'dataset': own.DATASETS,
    'optimizer': own.OPTIMIZERS,
    'sampler': own.DATA_SAMPLERS, 'batch_sampler': own.DATA_SAMPLERS, 'collate_fn': own.FUNCTIONS,
    'worker_init_fn': own.FUNCTIONS, 'tokenizer': own.TOKENIZERS,
    'batch_transforms': own.BATCH_TRANSFORMS, 'model': own.MODELS,
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
    'train_dataloader': {'num_batch_per_epoch'},
    'val_dataloader': {'num_batch_per_epoch'},
    'test_dataloader': {'num_batch_per_epoch'},
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
# sections of several keys, None where there is none
_SECTIONS = (
    'model', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg', 'test_cfg',
    'optim_wrapper', 'randomness', 'auto_scale_lr', 'env_cfg', 'default_hooks',
)  # fmt: skip
_LOG_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
_WITH_EPOCHS = ('train_dataloader', 'param_scheduler', 'custom_hooks')


def resolve_type(name: Any, path: Keys = ()) -> Callable[..., Any]:
    """Finds the class or function that a ``type`` means: a registered name, a dotted one, or itself.

    ``path``, where in the config it stands, decides which registry is asked first. If nothing has that name,
    the KeyError suggests the nearest.
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
        # not registry.get, which looks into the scope of the last runner of the process
        names = own.known_names(registry)
        if name in names:
            return names[name]
    where = '.'.join(path) or 'the config'
    known = {item for registry in (hinted[:1] or _REGISTRIES) for item in own.known_names(registry)}
    raise KeyError(
        f"{where}: nothing is called '{name}'. {did_you_mean(name, known)} "
        'A class of your own is found through custom_imports.imports=[your.module].'
    )


def accepted_keys(component: Callable[..., Any], path: Keys = ()) -> set[str] | None:
    """Lists the keys that a component at ``path`` takes in a config, None if it takes any.

    ``**kwargs`` of a class are the keys of its base class.
    """
    names = set(_CONSUMED.get(path[0], ())) if path else set()
    bases = [base for base in getattr(component, '__mro__', ()) if '__init__' in vars(base)]
    # the first of them is what the class itself shows
    for item in [component, *bases[1:]]:
        if item is object:
            continue
        try:
            parameters = inspect.signature(item).parameters.values()
        except (TypeError, ValueError):
            return None
        names |= {
            item.name for item in parameters if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)
        }
        if not any(item.kind is item.VAR_KEYWORD for item in parameters):
            return names
    return None


def validate_config(cfg: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> None:
    """Checks the sections of a config, and every component against the signature of its class.

    The keys of ``overrides``, which the user typed, are checked also where no ``type`` tells what is taken.
    An unknown component is a KeyError, a key that does not bind or an impossible value a ValueError.
    """
    _check_top_level(cfg)
    for path, node in _components(cfg, ()):
        component = resolve_type(node['type'], path)
        _check_numbers(component, node, path)
        accepted = accepted_keys(component, path)
        wrong = [key for key in node if accepted is not None and key not in accepted | ALWAYS]
        if wrong:
            raise ValueError(
                f"{'.'.join(path)}: {type_name(node['type'])} takes no '{wrong[0]}'. "
                f'{did_you_mean(str(wrong[0]), accepted)}'
            )
    for key in overrides or {}:
        _check_plain_section(cfg, tuple(key.split('.')))


def _check_top_level(cfg: Mapping[str, Any]) -> None:
    for key in cfg:
        # a config may have variables of its own, so only what looks like a slip is refused
        close = get_close_matches(key, TOP_LEVEL, n=1, cutoff=0.87)
        close += [known for known in TOP_LEVEL if sorted(known) == sorted(key)]
        if close and key not in TOP_LEVEL:
            raise ValueError(
                f"the config sets '{key}', which nothing reads. Did you mean '{close[0]}'? If it is a "
                'variable of your own, give it a name that is less like a key.'
            )
    for key in _SECTIONS:
        if not isinstance(cfg.get(key), (Mapping, NoneType)):
            raise ValueError(f'{key}={cfg[key]!r}: this is a section, a dict of keys.')
    seed = (cfg.get('randomness') or {}).get('seed')
    if not isinstance(seed, (int, NoneType)):
        raise ValueError(f'randomness.seed={seed!r}: a whole number, or None for a random one.')
    level = cfg.get('log_level') or 'INFO'
    if level not in _LOG_LEVELS and not isinstance(level, int):
        raise ValueError(f"log_level='{level}'. {did_you_mean(str(level), _LOG_LEVELS)}")


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
            raise ValueError(f"{where}='{value}': {type_name(node['type'])} wants {wanted} there, no word.")


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
        in_choices = parts[: depth - 1] in (('val_cfg', 'choices'), ('test_cfg', 'choices'))
        known = _LOADER if in_choices else _PLAIN_SECTIONS.get(parts[depth - 1])
        if known is not None and parts[depth] not in known:
            where = '.'.join(parts[:depth])
            raise ValueError(
                f"--cfg-options: {where} takes no '{parts[depth]}'. {did_you_mean(parts[depth], known)}"
            )


def check_epochs(cfg: Mapping[str, Any]) -> None:
    """Compares the loop's epochs with those of the curriculum, the learning rate and the objectives.

    If they differ, a curriculum, a decay or a second stage would be cut off or never come: a ValueError. A
    class whose ``stages`` are counted in epochs has an attribute ``stages_in_epochs``: True, or the name of
    the key that must be true for it.
    """
    epochs = (cfg.get('train_cfg') or {}).get('max_epochs')
    if epochs is None:
        return
    found = [('train_cfg.max_epochs', epochs, float(epochs))]
    for path, node in _components({key: cfg.get(key) for key in _WITH_EPOCHS}, ()):
        kind, key = resolve_type(node['type'], path), '.'.join(path)
        counted = getattr(kind, 'stages_in_epochs', False)
        if path[-1] == 'batch_sampler' and node.get('max_epochs') is not None:
            found.append((f'{key}.max_epochs', node['max_epochs'], float(node['max_epochs'])))
        if counted is True or node.get(counted):
            stages = node.get('stages', inspect.signature(kind).parameters['stages'].default)
            try:
                found.append((f'{key}.stages', stages, float(sum(float(length) for length, _ in stages))))
            except (TypeError, ValueError) as error:
                raise ValueError(f'{key}.stages={stages!r}: a list of (epochs, value) pairs.') from error
    if any(abs(length - float(epochs)) > 1e-6 for _, _, length in found):
        lines = '\n'.join(f'  {key}={value!r}: {length:g} epochs' for key, value, length in found)
        raise ValueError(
            f'the lengths of the training do not agree:\n{lines}\nSet all of them with --cfg-options; stages '
            'are (epochs, value) pairs.'
        )


def type_name(kind: Any) -> str:
    """Gives the last part of the name of a ``type``, a string or a class."""
    return str(getattr(kind, '__name__', kind)).rsplit('.', 1)[-1]
