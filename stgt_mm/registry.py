"""The registries of the toolbox: one scope, ``stgt_mm``, children of mmengine's.

A name is looked up by importing the modules in ``locations`` on first use, so a config may say
``type='STGT'`` and nothing has to be imported before. A class as ``type`` works as well.
"""

from typing import Any

from mmengine import registry as root
from mmengine.registry import Registry, build_from_cfg, build_model_from_cfg

from stgt_mm.utils import did_you_mean

SCOPE = 'stgt_mm'
_MOST_SHOWN = 60


def _known_names(registry: Registry) -> set[str]:
    names: set[str] = set()
    node: Registry | None = registry
    while node is not None:
        node.import_from_location()
        names.update(node.module_dict)
        node = node.parent
    return names


def _build(cfg: Any, registry: Registry, default_args: Any = None) -> Any:
    """Builds a component; an unknown name gives a suggestion instead of a bare KeyError.

    Args:
        cfg: Config with a ``type``: a registered name, an importable dotted name, or a class.
        registry: Where the name is looked up.
        default_args: Defaults for keys that ``cfg`` does not set.

    Returns:
        The component.

    Raises:
        KeyError: If the name is not registered; the message suggests the nearest one.
        ValueError: If an argument has the wrong type or is missing; the message names the component.
    """
    name = cfg.get('type') if isinstance(cfg, dict) else None
    if isinstance(name, str):
        found = registry.get(name)
        if found is None:
            raise KeyError(
                f"no {registry.name} is called '{name}'. {did_you_mean(name, _known_names(registry))} "
                'A class of your own is found through custom_imports=dict(imports=["your.module"]).'
            )
        # As a class, for mmengine looks names up in whatever scope the last runner of the process had.
        cfg = {**cfg, 'type': found}
    build = (
        build_model_from_cfg if registry.name == 'model' and isinstance(cfg, (dict, list)) else build_from_cfg
    )
    try:
        return build(cfg, registry, default_args)
    except TypeError as error:
        raise ValueError(f'{registry.name} {_shown(cfg)} cannot be built: {error}') from error


def _shown(cfg: Any) -> str:
    if not isinstance(cfg, dict):
        return repr(cfg)
    kind = cfg.get('type')
    given = ', '.join(f'{key}={_short(value)}' for key, value in cfg.items() if key != 'type')
    return f'{getattr(kind, "__name__", kind)}({given})'


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f'{text[: _MOST_SHOWN - 3]}...'


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(
        parent.name,
        parent=parent,
        scope=SCOPE,
        build_func=_build,
        locations=[f'{SCOPE}.{location}' for location in locations],
    )


MODELS = _child(root.MODELS, 'models')
DATASETS = _child(root.DATASETS, 'datasets')
TRANSFORMS = _child(root.TRANSFORMS, 'datasets.transforms')
READERS = Registry('reader', scope=SCOPE, build_func=_build, locations=[f'{SCOPE}.datasets.readers'])
DATA_SAMPLERS = _child(root.DATA_SAMPLERS, 'datasets.samplers', 'moving_shapes.group_sampler')
FUNCTIONS = _child(root.FUNCTIONS, 'datasets.collate')
METRICS = _child(root.METRICS, 'evaluation')
POST_PROCESSORS = Registry(
    'post-processor', scope=SCOPE, build_func=_build, locations=[f'{SCOPE}.evaluation']
)
EVALUATOR = _child(root.EVALUATOR, 'evaluation')
HOOKS = _child(root.HOOKS, 'engine.hooks')
LOOPS = _child(root.LOOPS, 'engine.loops')
RUNNERS = _child(root.RUNNERS, 'engine.runner')
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, 'engine.optim')
OPTIM_WRAPPER_CONSTRUCTORS = _child(root.OPTIM_WRAPPER_CONSTRUCTORS, 'engine.optim')
PARAM_SCHEDULERS = _child(root.PARAM_SCHEDULERS, 'engine.schedulers')
TOKENIZERS = Registry('tokenizer', scope=SCOPE, build_func=_build, locations=[f'{SCOPE}.models.tokenizer'])
# Nothing of ours is in these; without them mmengine warns at every start that it looks into its own.
VISBACKENDS = _child(root.VISBACKENDS)
VISUALIZERS = _child(root.VISUALIZERS)
LOG_PROCESSORS = _child(root.LOG_PROCESSORS)
MODEL_WRAPPERS = _child(root.MODEL_WRAPPERS)
