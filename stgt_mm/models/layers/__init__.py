"""Layers that necks are built from."""

from stgt_mm.models.layers.banded import banded_attention
from stgt_mm.models.layers.graph_attention import SpatioTemporalGraphAttention
from stgt_mm.models.layers.grouping_block import GroupingBlock
from stgt_mm.models.layers.transformer import TransformerBlock, check_heads, init_linear

__all__ = [
    'GroupingBlock',
    'SpatioTemporalGraphAttention',
    'TransformerBlock',
    'banded_attention',
    'check_heads',
    'init_linear',
]
