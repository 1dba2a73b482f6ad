"""The model that weights are converted for, as names and shapes."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from stgt_mm.config import load_config
from stgt_mm.random_weights import build_on_meta


def config_shapes(
    config: str, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, tuple[int, ...]]:
    """Reads the names and shapes of the model of a config, without allocating it.

    Args:
        config: A config file with ``model``. The weight files that it names need not exist.
        changes: Settings that replace those of a part of the model, by its name; with a ``type``, all.

    Returns:
        Shape by name.

    Raises:
        ValueError: If the config has no model.
    """
    cfg = load_config(config, {}).to_dict()
    if cfg.get('model') is None:
        raise ValueError(f"the config '{config}' has no model: give one of configs/_base_/models or above.")
    return model_shapes(cfg['model'], changes)


def model_shapes(
    model: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, tuple[int, ...]]:
    """Works out the names and shapes of a model, without allocating it.

    Args:
        model: Config of the model.
        changes: As for :func:`config_shapes`.

    Returns:
        Shape by name.
    """
    model = dict(model)
    for part, new in (changes or {}).items():
        model[part] = {**({} if 'type' in new else model[part]), **new}
    if model['qformer'].get('vocab_size') is not None:
        model['data_preprocessor'] = {'type': nn.Identity}  # else its vocabulary gives the size
    return {name: tuple(tensor.shape) for name, tensor in build_on_meta(model).state_dict().items()}
