"""Names of the authors' released STGT module mapped to those of :class:`stgt_mm.models.necks.STGT`."""

import re

from torch import Tensor

SOURCE_PREFIX = 'graph_cross_model.'
TARGET_PREFIX = 'neck.'

_WHOLE = {
    'time_embed': 'temporal_embed',
    'pos_2D_embed': 'spatial_embed',
    'ln_post.weight': 'norm.weight',
    'ln_post.bias': 'norm.bias',
    'proj': 'proj',
}
_TRANSFORMER = {
    'attn.in_proj_weight': 'attn.qkv.weight',
    'attn.in_proj_bias': 'attn.qkv.bias',
    'attn.out_proj.weight': 'attn.proj.weight',
    'attn.out_proj.bias': 'attn.proj.bias',
    'ln_1.weight': 'norm1.weight',
    'ln_1.bias': 'norm1.bias',
    'ln_2.weight': 'norm2.weight',
    'ln_2.bias': 'norm2.bias',
    'mlp.c_fc.weight': 'fc1.weight',
    'mlp.c_fc.bias': 'fc1.bias',
    'mlp.c_proj.weight': 'fc2.weight',
    'mlp.c_proj.bias': 'fc2.bias',
}
_BLOCK = {
    **{f'proj_fc.{part}': f'in_proj.{part}' for part in ('weight', 'bias')},
    **{f'message_attn.{old}': f'global_block.{new}' for old, new in _TRANSFORMER.items()},
    **{old: f'fusion_block.{new}' for old, new in _TRANSFORMER.items()},
    **{
        f'graphattn.W_{letter}.{part}': f'graph_attention.W_{letter}.{part}'
        for letter in 'QKVO'
        for part in ('weight', 'bias')
    },
}


def _new_name(name: str) -> str | None:
    """Maps a name without prefix; None if it is unknown."""
    block = re.fullmatch(r'resblocks\.(\d+)\.(.+)', name)
    if block is None:
        return _WHOLE.get(name)
    inner = _BLOCK.get(block[2])
    return None if inner is None else f'blocks.{block[1]}.{inner}'


def convert(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Takes the neck out of a released checkpoint.

    Args:
        state_dict: Names and tensors of the release; what is outside ``graph_cross_model.`` (backbone,
            Q-Former) is left aside.

    Returns:
        The same tensors under ``neck.``: they load strictly into an aligner's neck of equal width, blocks,
        frames and grid.

    Raises:
        ValueError: If there is nothing below ``graph_cross_model.``, or something that is not known; all
            unknown names are listed.
    """
    names = [key for key in state_dict if key.startswith(SOURCE_PREFIX)]
    if not names:
        raise ValueError(
            f"no key starts with '{SOURCE_PREFIX}': this is not a released STGT state dict "
            f'({len(state_dict)} keys, first: {next(iter(state_dict), None)!r}).'
        )
    mapped = {key: _new_name(key[len(SOURCE_PREFIX) :]) for key in names}
    unknown = [key for key, new in mapped.items() if new is None]
    if unknown:
        raise ValueError('unknown keys in the released state dict:\n  ' + '\n  '.join(unknown))
    return {f'{TARGET_PREFIX}{new}': state_dict[key] for key, new in mapped.items()}
