"""Attention inside a band of frames by FlexAttention: one fused kernel, which keeps no scores at all.

The kernel sees one pair at a time and cannot make a cosine, so W_s is stored before: as a band [B, L, w*N] in
the type of the queries, with a number that no cosine has where nothing is linked. At B = 20, T = 8, N = 256
that is 63 MB in bfloat16; the scores of 16 heads would be 1 GB.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from stgt_mm.functional.graph import FrameGraph, frame_window

NOT_LINKED = 2.0  # a cosine is at most 1; exact in every type
TILE = 128  # FlexAttention's block: lengths between its multiples gave a backward of NaN (pytorch #153799)
WITHOUT_GRADIENT = ('cpu', 'mps')


def pack_band(graphs: tuple[FrameGraph, ...], band: int, use_weights: bool, dtype: torch.dtype) -> Tensor:
    """Stores W_s, or 1, and ``NOT_LINKED`` where there is no link: rounding to ``dtype`` changes no link.

    Args:
        graphs: One graph a frame, from ``banded_graph``.
        band: Frames on each side.
        use_weights: False stores 1 for every link.
        dtype: Of the result.

    Returns:
        shape [B, L, w*N], w = min(T, 2*band + 1), L = T*N rounded up to ``TILE``. The columns of a frame's
        rows are the tokens of w frames from ``first_column_frame`` on. Rows beyond T*N are 0, so that their
        softmax is a number.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.graph import banded_graph
        >>> from stgt_mm.models.layers.flex import pack_band
        >>> tokens = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]]])  # 4 frames of a token
        >>> stored = pack_band(banded_graph(tokens, 4, threshold=0.5), 1, True, torch.float32)
        >>> stored.shape, stored[0, 1]  # the second frame is at right angles to the first
        (torch.Size([1, 128, 3]), tensor([2.0000, 1.0000, 0.7071]))
    """
    frames, (batch, nodes, _) = len(graphs), graphs[0].weights.shape
    seen, total = min(frames, 2 * band + 1), frames * nodes
    stored = graphs[0].weights.new_full(
        (batch, -(-total // TILE) * TILE, seen * nodes), NOT_LINKED, dtype=dtype
    )
    stored[:, total:] = 0
    for frame, (weights, linked) in enumerate(graphs):
        first, stop = frame_window(frame, frames, band)
        start = first_column_frame(frame, frames, band)
        own = stored[:, frame * nodes : (frame + 1) * nodes, (first - start) * nodes : (stop - start) * nodes]
        own.copy_(weights if use_weights else torch.ones_like(weights))
        if linked is not None:
            own.masked_fill_(~linked, NOT_LINKED)
    return stored


def first_column_frame(frame: int, frames: int, band: int) -> int:
    """Returns the frame that the stored columns of a frame's rows begin with: as many for every frame."""
    return max(0, min(frame - band, frames - 2 * band - 1))


@lru_cache(maxsize=16)
def _block_mask(frames: int, nodes: int, band: int, device: torch.device) -> BlockMask:
    """Tells which tiles hold pairs of the band; it depends on sizes only, so that it is made once."""
    total = frames * nodes

    def near(b: Tensor, h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        # queries that fill up the last tile read what the last frame reads, and nobody reads such keys
        own = (query // nodes).clamp(max=frames - 1)
        return ((own - key // nodes).abs() <= band) & (key < total)

    length = -(-total // TILE) * TILE
    with torch.inference_mode(False):  # it is kept, and may next be saved for a gradient
        return create_block_mask(near, None, None, length, length, device=device, BLOCK_SIZE=TILE)


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    stored: Tensor,
    mask: BlockMask,
    frames: int,
    nodes: int,
    band: int,
) -> Tensor:
    def weigh(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        # first_column_frame of the query's; outside of the band the column means nothing and must exist
        start = (i // nodes - band).clamp(max=frames - 2 * band - 1).clamp(min=0)
        weight = stored[b, i, (j - start * nodes).clamp(0, stored.shape[2] - 1)]
        return torch.where(weight == NOT_LINKED, float('-inf'), score * weight)

    return flex_attention(query, key, value, score_mod=weigh, block_mask=mask, scale=1.0)


# Not compiled it would make all T*N x T*N scores. Each size gets a kernel of its own: the compiler for CPUs
# fails on sizes that vary.
_fused = torch.compile(_attend, dynamic=False)


def flex_banded_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    graphs: tuple[FrameGraph, ...],
    band: int,
    use_weights: bool = True,
) -> Tensor:
    """Computes what ``banded_attention`` does, from the same arguments, without dropout.

    A gradient that is wanted on a CPU is a ValueError: FlexAttention has none there.
    """
    wanted = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    if wanted and query.device.type in WITHOUT_GRADIENT:
        raise ValueError(
            f"attention_backend='flex' has no gradient on {query.device.type}: train on a GPU, or with "
            "'banded', which gives the same numbers."
        )
    frames, nodes, total = len(graphs), graphs[0].weights.shape[1], query.shape[2]
    stored = pack_band(graphs, band, use_weights, query.dtype)
    rest = (0, 0, 0, stored.shape[1] - total)
    q, k, v = (torch.nn.functional.pad(x, rest) for x in (query, key, value))
    mask = _block_mask(frames, nodes, band, query.device)
    return _fused(q, k, v, stored, mask, frames, nodes, band)[:, :, :total]
