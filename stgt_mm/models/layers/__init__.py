"""Layers that necks are built from."""

from stgt_mm.models.layers.banded import banded_attention
from stgt_mm.models.layers.graph_attention import SpatioTemporalGraphAttention
from stgt_mm.models.layers.transformer import (
    DropPath,
    QuickGELU,
    SelfAttention,
    TransformerBlock,
    init_linear,
)

__all__ = [
    'DropPath',
    'QuickGELU',
    'SelfAttention',
    'SpatioTemporalGraphAttention',
    'TransformerBlock',
    'banded_attention',
    'init_linear',
]
