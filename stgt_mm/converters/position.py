"""Position embeddings of a ViT for frames of another size."""

from collections.abc import Mapping

from timm.layers import resample_abs_pos_embed
from torch import Tensor

from stgt_mm.converters.converted import Converted

POSITIONS = 'pos_embed'
PATCHES = 'patch_embed.proj.weight'


def resize_positions(state_dict: Mapping[str, Tensor], img_size: int, prefix: str = '') -> dict[str, Tensor]:
    """Resizes the position embedding to square frames of another size.

    Args:
        state_dict: ``pos_embed`` of shape (1, 1 + N, C), CLS first, and the patch embedding, whose kernel
            tells the size of a patch.
        img_size: Side of the frames in pixels.
        prefix: What stands before these names.

    Returns:
        A state dict of the same class, with (1, 1 + (img_size / patch)^2, C). CLS keeps its row.

    Raises:
        ValueError: If a name is missing, or patches do not fill the frame.

    Source: bicubic without anti-aliasing, as BLIP-2 (arXiv 2301.12597) and Hugging Face resize them.
    """
    lacking = [name for name in (prefix + POSITIONS, prefix + PATCHES) if name not in state_dict]
    if lacking:
        raise ValueError(f'the position embedding cannot be resized: there is no {" and no ".join(lacking)}.')
    patch = state_dict[prefix + PATCHES].shape[-1]
    if img_size < patch or img_size % patch:
        raise ValueError(f'an image size of {img_size} is not a multiple of the patch size {patch}.')
    side = img_size // patch
    resized = resample_abs_pos_embed(state_dict[prefix + POSITIONS], [side, side], antialias=False)
    if not isinstance(state_dict, Converted):
        return {**state_dict, prefix + POSITIONS: resized}
    out = Converted()
    out.merge(state_dict)
    out[prefix + POSITIONS] = resized
    return out
