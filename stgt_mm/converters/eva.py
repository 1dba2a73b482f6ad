"""EVA-CLIP's ViT-g, ``eva_vit_g.pth``, for timm's ``eva_giant_patch14_clip_224``.

timm's own ``checkpoint_filter_fn`` needs the model and drops keys without account; a test compares the two.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from stgt_mm.converters.converted import Converted, KeyMap, rename

BLIP2_DEPTH = 39
_BLOCK = ('norm1.*', 'norm2.*', 'attn.qkv.weight', 'attn.q_bias', 'attn.v_bias', 'attn.proj.*')
_NAMES = KeyMap(
    [(name, name) for name in ('cls_token', 'pos_embed', 'patch_embed.proj.*')]
    + [(f'blocks.{{}}.{name}', f'blocks.{{}}.{name}') for name in (*_BLOCK, 'mlp.fc1.*', 'mlp.fc2.*')]
)
_ASIDE = (
    (r'(fc_)?norm\.(weight|bias)|head\.(weight|bias)', 'behind the tokens that the neck reads'),
    (r'(rope|.*attn\.rope)\..*', 'a table that timm computes'),
    (r'mask_token|lm_head\..*', 'only for the pre-training of EVA'),
    (r'text\..*|logit_scale|logit_bias', 'the text side of CLIP'),
)


def convert(state_dict: Mapping[str, Tensor], depth: int | None = BLIP2_DEPTH) -> Converted:
    """Turns an EVA ViT, below ``visual.`` in EVA-CLIP's own files, into the weights of timm's model.

    Keeps the first ``depth`` blocks, None all.

    Source: BLIP-2 (arXiv 2301.12597), section 3.4: the output of ViT-g's second last layer, so 39 of 40
    blocks.
    """
    prefix = 'visual.' if 'visual.pos_embed' in state_dict else ''
    out = rename(state_dict, _NAMES, _ASIDE, prefix, outside=_ASIDE)
    for name in list(out) if depth is not None else ():
        block = re.match(r'blocks\.(\d+)\.', name)
        if block is not None and int(block[1]) >= depth:
            out.leave(name, f'past the first {depth} blocks, which are used')
    return out
