"""The registries of the toolbox: one scope, ``stgt_mm``, children of mmengine's.

A name is looked up by importing the modules in ``locations`` on first use, so a config may say
``type='STGT'`` and nothing has to be imported before. A class as ``type`` works as well.
"""

from typing import Any

from mmengine import registry as root
from mmengine.registry import Registry, build_from_cfg, build_model_from_cfg

from stgt_mm.utils import did_you_mean

SCOPE = 'stgt_mm'


def known_names(registry: Registry) -> dict[str, Any]:
    """Returns what a registry and its parents hold by name; ours come before theirs."""
    names: dict[str, Any] = {}
    node: Registry | None = registry
    while node is not None:
        node.import_from_location()
        names = {**node.module_dict, **names}
        node = node.parent
    return names


def short_repr(value: Any, most: int = 60) -> str:
    """Writes a value in at most so many characters."""
    text = repr(value)
    return text if len(text) <= most else f'{text[: most - 3]}...'


def _build(cfg: Any, registry: Registry, default_args: Any = None) -> Any:
    """Builds a component; the error for an unknown name or a wrong argument says which."""
    name = cfg.get('type') if isinstance(cfg, dict) else None
    if isinstance(name, str):
        found = registry.get(name)
        if found is None:
            raise KeyError(
                f"no {registry.name} is called '{name}'. {did_you_mean(name, known_names(registry))} "
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
        shown = repr(cfg)
        if isinstance(cfg, dict):
            given = ', '.join(f'{key}={short_repr(value)}' for key, value in cfg.items() if key != 'type')
            shown = f'{getattr(cfg.get("type"), "__name__", cfg.get("type"))}({given})'
        raise ValueError(f'{registry.name} {shown} cannot be built: {error}') from error


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
OPTIMIZERS = _child(root.OPTIMIZERS, 'engine.muon')
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, 'engine.optim')
OPTIM_WRAPPER_CONSTRUCTORS = _child(root.OPTIM_WRAPPER_CONSTRUCTORS, 'engine.optim')
PARAM_SCHEDULERS = _child(root.PARAM_SCHEDULERS, 'engine.schedulers')
BATCH_TRANSFORMS = Registry(
    'batch transform', scope=SCOPE, build_func=_build, locations=[f'{SCOPE}.models.batch_transforms']
)
TOKENIZERS = Registry('tokenizer', scope=SCOPE, build_func=_build, locations=[f'{SCOPE}.models.tokenizer'])
# Nothing of ours is in these; without them mmengine warns at every start that it looks into its own.
VISBACKENDS = _child(root.VISBACKENDS)
VISUALIZERS = _child(root.VISUALIZERS)
LOG_PROCESSORS = _child(root.LOG_PROCESSORS)
MODEL_WRAPPERS = _child(root.MODEL_WRAPPERS)
