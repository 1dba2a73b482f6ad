"""Position embeddings of a ViT for frames of another size."""

import copy
from typing import TypeVar

from timm.layers import resample_abs_pos_embed
from torch import Tensor

State = TypeVar('State', bound=dict[str, Tensor])


def resize_positions(state_dict: State, img_size: int, prefix: str = '') -> State:
    """Resizes ``pos_embed``, (1, 1 + N, C) with CLS first, to square frames of ``img_size`` pixels.

    CLS keeps its row; the kernel of the patch embedding tells the size of a patch.

    Source: bicubic without anti-aliasing, as BLIP-2 (arXiv 2301.12597) and Hugging Face resize them.
    """
    positions, patches = f'{prefix}pos_embed', f'{prefix}patch_embed.proj.weight'
    lacking = [name for name in (positions, patches) if name not in state_dict]
    if lacking:
        raise ValueError(f'the position embedding cannot be resized: there is no {" and no ".join(lacking)}.')
    patch = state_dict[patches].shape[-1]
    if img_size < patch or img_size % patch:
        raise ValueError(f'an image size of {img_size} is not a multiple of the patch size {patch}.')
    out = copy.copy(state_dict)
    out[positions] = resample_abs_pos_embed(out[positions], [img_size // patch] * 2, antialias=False)
    return out
