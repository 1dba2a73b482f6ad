"""Models as a config describes them, without the weight files that it names."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from stgt_mm.registry import MODELS

# Keys of components by which weights are read when they are built.
WEIGHT_KEYS = {'checkpoint': None, 'pretrained': False}


def without_weights(node: Any) -> Any:
    """Copies a config, as plain dicts and lists, without its weight files: its model starts at random."""
    if isinstance(node, Mapping):
        return {key: WEIGHT_KEYS[key] if key in WEIGHT_KEYS else without_weights(node[key]) for key in node}
    if isinstance(node, (list, tuple)):
        return type(node)(without_weights(item) for item in node)
    return node


def weight_files(node: Any) -> list[str]:
    """Lists what ``checkpoint`` and ``pretrained`` keys of a config name, ``timm: <name>`` for a True."""
    if isinstance(node, Mapping):
        own = [str(node['checkpoint'])] if node.get('checkpoint') else []
        pretrained = node.get('pretrained')
        own += (
            [f'timm: {node.get("model_name", "?")}' if pretrained is True else pretrained]
            if pretrained
            else []
        )
        return own + [name for value in node.values() for name in weight_files(value)]
    if isinstance(node, (list, tuple)):
        return [name for item in node for name in weight_files(item)]
    return []


def build_on_meta(model_cfg: Mapping[str, Any]) -> nn.Module:
    """Builds a model in eval mode on the meta device: shapes without numbers or memory, no weight files."""
    with torch.device('meta'):
        return MODELS.build(without_weights(model_cfg)).eval()
