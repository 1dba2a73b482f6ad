"""OpenAI's CLIP image encoders for timm's ``vit_*_clip_quickgelu_*``, from either of their layouts.

timm's own ``checkpoint_filter_fn`` needs the model, reads one layout and drops keys without account; a test
compares the two.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from stgt_mm.converters.converted import Converted, KeyMap, rename, vit_blocks

# timm's names, by width and patch size
TIMM = {
    (768, 32): 'vit_base_patch32_clip_quickgelu_224',
    (768, 16): 'vit_base_patch16_clip_quickgelu_224',
    (1024, 14): 'vit_large_patch14_clip_quickgelu_224',
}


_OPENAI = KeyMap(
    [
        ('conv1.*', 'patch_embed.proj.*'),
        ('class_embedding', 'cls_token'),
        ('positional_embedding', 'pos_embed'),
        ('ln_pre.*', 'norm_pre.*'),
        ('ln_post.*', 'norm.*'),
        ('transformer.resblocks.{}.attn.in_proj_weight', 'blocks.{}.attn.qkv.weight'),
        ('transformer.resblocks.{}.attn.in_proj_bias', 'blocks.{}.attn.qkv.bias'),
        *vit_blocks('transformer.resblocks.', 'ln_1', 'ln_2', 'attn.out_proj', 'mlp.c_fc', 'mlp.c_proj'),
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
        *((f'encoder.layers.{{}}.self_attn.{x}_proj.*', f'blocks.{{}}.attn.{x}.*') for x in 'qkv'),
        *vit_blocks(
            'encoder.layers.', 'layer_norm1', 'layer_norm2', 'self_attn.out_proj', 'mlp.fc1', 'mlp.fc2'
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
    """Turns a CLIP image encoder into the weights of timm's model, for ``TimmViT(checkpoint=...)``.

    Reads OpenAI's names (below ``visual.``, or without prefix as in LAVIS) and those of transformers
    (``vision_model.*``). OpenAI trained with QuickGELU: take timm's models with ``quickgelu`` in their names.
    """
    prefix = next((p for p in ('visual.', 'vision_model.') if any(k.startswith(p) for k in state_dict)), '')
    hugging_face = f'{prefix}embeddings.class_embedding' in state_dict
    out = rename(state_dict, _HUGGING_FACE if hugging_face else _OPENAI, _ASIDE, prefix, _OUTSIDE)
    for name in [name for name in out if '.attn.q.' in name]:
        parts = [name.replace('.q.', f'.{letter}.') for letter in 'qkv']
        key = out.origin[name][0]
        lacking = [key.replace('q_proj', f'{x}_proj') for x, part in zip('qkv', parts) if part not in out]
        if lacking:
            raise ValueError(f"'{key}' is there but not {', '.join(lacking)}: the file is not whole.")
        origin = [source for part in parts for source in out.origin.pop(part)]
        out.put(name.replace('.q.', '.qkv.'), torch.cat([out.pop(part) for part in parts]), *origin)
    if 'cls_token' in out:
        out['cls_token'] = out['cls_token'].reshape(1, 1, -1)
    if 'pos_embed' in out:
        out['pos_embed'] = out['pos_embed'][None]
    return out


def timm_name(state_dict: Mapping[str, Tensor], prefix: str = '') -> str:
    """Says which of timm's models converted weights are for, by width and patch size."""
    patches = state_dict.get(f'{prefix}patch_embed.proj.weight')
    size = None if patches is None else (patches.shape[0], patches.shape[-1])
    if size not in TIMM:
        raise ValueError(
            f'no CLIP encoder of OpenAI has width and patch size {size}; known are '
            f'{", ".join(map(str, TIMM))}. Name a config with your backbone to compare with that.'
        )
    return TIMM[size]
