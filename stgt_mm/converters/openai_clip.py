"""OpenAI's CLIP image encoders for timm's ``vit_*_clip_quickgelu_*``, from either of their layouts."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from stgt_mm.converters.converted import Converted, KeyMap, below, rename

# timm's names, by width and patch size
TIMM = {
    (768, 32): 'vit_base_patch32_clip_quickgelu_224',
    (768, 16): 'vit_base_patch16_clip_quickgelu_224',
    (1024, 14): 'vit_large_patch14_clip_quickgelu_224',
}
_MLP_AND_NORM = ('norm1.*', 'norm2.*', 'attn.proj.*', 'mlp.fc1.*', 'mlp.fc2.*')


def _blocks(prefix: str, theirs: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(f'{prefix}{{}}.{old}', f'blocks.{{}}.{new}') for old, new in zip(theirs, _MLP_AND_NORM)]


_OPENAI = KeyMap(
    [
        ('conv1.*', 'patch_embed.proj.*'),
        ('class_embedding', 'cls_token'),
        ('positional_embedding', 'pos_embed'),
        ('ln_pre.*', 'norm_pre.*'),
        ('ln_post.*', 'norm.*'),
        ('transformer.resblocks.{}.attn.in_proj_weight', 'blocks.{}.attn.qkv.weight'),
        ('transformer.resblocks.{}.attn.in_proj_bias', 'blocks.{}.attn.qkv.bias'),
        *_blocks(
            'transformer.resblocks.', ('ln_1.*', 'ln_2.*', 'attn.out_proj.*', 'mlp.c_fc.*', 'mlp.c_proj.*')
        ),
    ]
)
_HUGGING_FACE = KeyMap(
    [
        ('embeddings.patch_embedding.*', 'patch_embed.proj.*'),
        ('embeddings.class_embedding', 'cls_token'),
        ('embeddings.position_embedding.weight', 'pos_embed'),
        ('pre_layrnorm.*', 'norm_pre.*'),
        ('pre_layernorm.*', 'norm_pre.*'),
        ('post_layernorm.*', 'norm.*'),
        *_blocks(
            'encoder.layers.',
            ('layer_norm1.*', 'layer_norm2.*', 'self_attn.out_proj.*', 'mlp.fc1.*', 'mlp.fc2.*'),
        ),
    ]
)
_ASIDE = ((r'proj', 'behind the tokens that the neck reads'), (r'.*position_ids', 'a counter, no weight'))
_OUTSIDE = (
    (r'visual_projection\.weight', 'behind the tokens that the neck reads'),
    (
        r'text_model\..*|text_projection(\.weight)?|logit_scale|token_embedding\.weight|ln_final\..*'
        r'|positional_embedding|transformer\..*|input_resolution|context_length|vocab_size',
        'the text side of CLIP',
    ),
)


def convert(state_dict: Mapping[str, Tensor]) -> Converted:
    """Turns a CLIP image encoder into the weights of timm's model.

    Args:
        state_dict: OpenAI's names (below ``visual.``, or without prefix as in LAVIS), or those of
            transformers (``vision_model.*``).

    Returns:
        The names of timm without prefix, for ``TimmViT(checkpoint=...)``. OpenAI trained with QuickGELU:
        take timm's models with ``quickgelu`` in their names.

    Raises:
        ValueError: If a layer of the transformers layout has not all of query, key and value.
    """
    prefix = next((p for p in ('visual.', 'vision_model.') if any(k.startswith(p) for k in state_dict)), '')
    inside = below(state_dict, prefix)
    hugging_face = 'embeddings.class_embedding' in inside
    joined = _join_query_key_value(inside) if hugging_face else Converted()
    used = {key for origin in joined.origin.values() for key in origin}
    rest = {key: tensor for key, tensor in inside.items() if key not in used}
    out = rename(rest, _HUGGING_FACE if hugging_face else _OPENAI, _ASIDE)
    out.merge(joined)
    if 'cls_token' in out:
        out['cls_token'] = out['cls_token'].reshape(1, 1, -1)
    if 'pos_embed' in out:
        out['pos_embed'] = out['pos_embed'][None]
    whole = Converted()
    whole.merge(out, source_prefix=prefix)
    outside = {key: tensor for key, tensor in state_dict.items() if not key.startswith(prefix)}
    whole.merge(rename(outside, KeyMap([]), _OUTSIDE))
    return whole


def timm_name(state_dict: Mapping[str, Tensor], prefix: str = '') -> str:
    """Says which of timm's models converted weights are for.

    Args:
        state_dict: Result of :func:`convert`.
        prefix: What stands before its names.

    Returns:
        A name for ``TimmViT(model_name=...)``.

    Raises:
        ValueError: If no model has this width and patch size.
    """
    patches = state_dict.get(f'{prefix}patch_embed.proj.weight')
    size = None if patches is None else (patches.shape[0], patches.shape[-1])
    if size not in TIMM:
        raise ValueError(
            f'no CLIP encoder of OpenAI has width and patch size {size}; known are '
            f'{", ".join(map(str, TIMM))}. Name a config with your backbone to compare with that.'
        )
    return TIMM[size]


def _join_query_key_value(state_dict: Mapping[str, Tensor]) -> Converted:
    """Puts the three projections of each layer in one, as timm has them."""
    out = Converted()
    for key in state_dict:
        match = re.fullmatch(r'encoder\.layers\.(\d+)\.self_attn\.q_proj\.(weight|bias)', key)
        if match is None:
            continue
        parts = [key.replace('q_proj', f'{letter}_proj') for letter in 'qkv']
        lacking = [part for part in parts if part not in state_dict]
        if lacking:
            raise ValueError(f"'{key}' is there but not {', '.join(lacking)}: the file is not whole.")
        out.put(
            f'blocks.{match[1]}.attn.qkv.{match[2]}', torch.cat([state_dict[part] for part in parts]), *parts
        )
    return out
