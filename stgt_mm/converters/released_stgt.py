"""The authors' released STGT checkpoints: BLIP-2 in LAVIS' names, and a neck, ``graph_cross_model.*``."""

from collections.abc import Mapping

import torch
from torch import Tensor

from stgt_mm.converters import lavis_blip2
from stgt_mm.converters.converted import Converted, KeyMap, rename, strip_prefix

SOURCE_PREFIX = 'graph_cross_model.'
TARGET_PREFIX = 'neck.'
RELEASED_GRID = 16

_TRANSFORMER = (
    ('attn.in_proj_weight', 'attn.qkv.weight'),
    ('attn.in_proj_bias', 'attn.qkv.bias'),
    ('attn.out_proj.*', 'attn.proj.*'),
    ('ln_1.*', 'norm1.*'),
    ('ln_2.*', 'norm2.*'),
    ('mlp.c_fc.*', 'fc1.*'),
    ('mlp.c_proj.*', 'fc2.*'),
)
_BLOCK = (
    ('proj_fc.*', 'in_proj.*'),
    *((f'message_attn.{theirs}', f'global_block.{ours}') for theirs, ours in _TRANSFORMER),
    *((theirs, f'fusion_block.{ours}') for theirs, ours in _TRANSFORMER),
    *((f'graphattn.W_{letter}.*', f'graph_attention.W_{letter}.*') for letter in 'QKVO'),
)
_NAMES = KeyMap(
    [
        ('time_embed', 'temporal_embed'),
        ('pos_2D_embed', 'spatial_embed'),
        ('ln_post.*', 'norm.*'),
        ('proj', 'proj'),
        *((f'resblocks.{{}}.{theirs}', f'blocks.{{}}.{ours}') for theirs, ours in _BLOCK),
    ]
)


def convert(state_dict: Mapping[str, Tensor], grid_size: int = RELEASED_GRID) -> Converted:
    """Turns a released checkpoint, or what lies below its key ``model``, into an aligner without backbone.

    The spatial embedding of the release is a parameter without gradient, and its runner leaves such
    parameters out of what it saves: at every start it is drawn again, from a normal distribution of std 0.02.
    Where it is missing, its mean takes its place: zeros for ``grid_size`` patches along a side of a frame.
    """
    model = state_dict.get('model')
    if isinstance(model, Mapping):
        state_dict = model
    neck = strip_prefix(state_dict, SOURCE_PREFIX)
    if not neck:
        raise ValueError(
            f"no key starts with '{SOURCE_PREFIX}': this is not a released STGT state dict "
            f'({len(state_dict)} keys, first: {next(iter(state_dict), None)!r}).'
        )
    out = lavis_blip2.convert({key: x for key, x in state_dict.items() if not key.startswith(SOURCE_PREFIX)})
    out.merge(rename(neck, _NAMES), prefix=TARGET_PREFIX, source_prefix=SOURCE_PREFIX)
    projection = out.get(f'{TARGET_PREFIX}proj')
    if f'{TARGET_PREFIX}spatial_embed' not in out and projection is not None:
        zeros = torch.zeros(1 + grid_size**2, len(projection), dtype=projection.dtype)
        why = 'zeros: the release draws it again at every start (std 0.02) and does not save it'
        out.fill(f'{TARGET_PREFIX}spatial_embed', zeros, why)
    return out
