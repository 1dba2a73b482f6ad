"""Views of a token within STGT: similarities, links, attention; and where its max-pooling samples.

All of it is recomputed from what hooks see in a forward pass; the model is not changed.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt_mm.functional.graph import check_threshold, dense_graph, frame_window
from stgt_mm.models.layers import SpatioTemporalGraphAttention
from stgt_mm.models.necks import STGT
from stgt_mm.utils import evaluating


class TokenView(NamedTuple):
    """A token and all tokens of the clip as it sees them, each (T, Gh, Gw), on the CPU."""

    token: tuple[int, int, int]  # frame, row, column
    threshold: float | None  # h; None where the model has no adjacency
    window: tuple[int, int]  # frames that the token may be linked with: the first, one past the last
    similarity: Tensor  # W_s, the cosine with the token
    linked: Tensor  # bool, A
    attention: Tensor  # of the token, mean over the heads; sums to 1
    without_graph: Tensor  # the same of the same weights, with neither A nor W_s
    cls: Tensor  # of each frame's CLS to the patches of its frame, in the fusion


class Sampling(NamedTuple):
    """Where the max-pooling of frames samples: shares of the channels, each (T, Gh, Gw), on the CPU."""

    columns: Tensor  # the maximum of each column; sums to 1 over the rows
    rows: Tensor  # the maximum of each row; sums to 1 over the columns


def graph_neck(model: nn.Module) -> STGT:
    """Returns the neck of a model; a ValueError if it is not STGT."""
    neck = getattr(model, 'neck', None)
    if not isinstance(neck, STGT):
        raise ValueError(f'the picture is of STGT, and the neck of this model is a {type(neck).__name__}.')
    return neck


def view_tokens(
    model: nn.Module,
    inputs: dict[str, Tensor],
    tokens: Sequence[tuple[int, int, int]],
    threshold: float | None = None,
    layer: int = 0,
) -> list[TokenView]:
    """Looks at tokens of one clip, prepared by the model's data preprocessor.

    Args:
        model: A ``VideoEncoder`` with STGT as its neck.
        inputs: ``video`` (1, T, 3, H, W), or cached ``tokens``.
        tokens: Frame, row and column of each.
        threshold: h of all layers, in place of the model's in evaluation.
        layer: Block of STGT.

    Returns:
        A view a token.

    Raises:
        ValueError: If the neck is another, or there is no such token or layer, or no threshold to change.
    """
    neck = graph_neck(model)
    if not 0 <= layer < len(neck.blocks):
        raise ValueError(f'layer {layer}: the neck has {len(neck.blocks)}, the first is 0.')
    graphs = [block.graph_attention for block in neck.blocks]
    graph, fusion = graphs[layer], neck.blocks[layer].fusion_block.attn
    if threshold is not None and not graph.use_adjacency:
        raise ValueError(f'h={threshold}: the neck has use_adjacency=False, no threshold decides on links.')
    seen: dict[str, Tensor] = {}
    with ExitStack() as kept:
        if threshold is not None:
            for each in graphs:
                kept.callback(setattr, each, 'test_similarity_threshold', each.test_similarity_threshold)
                each.test_similarity_threshold = check_threshold(threshold)
        kept.callback(setattr, fusion, 'fused_attn', fusion.fused_attn)
        fusion.fused_attn = False  # else its probabilities exist in the kernel only
        hooks = (
            graph.register_forward_pre_hook(lambda _, args: seen.update(x=args[0], frames=args[1])),
            fusion.attn_drop.register_forward_pre_hook(lambda _, args: seen.update(fusion=args[0])),
        )
        for hook in hooks:
            kept.callback(hook.remove)
        with evaluating(model), torch.no_grad():
            model.pool_frames(inputs)
        return _views(neck, graph, seen, tokens)


def _views(
    neck: STGT, graph: SpatioTemporalGraphAttention, seen: dict[str, Tensor], tokens: Sequence[tuple]
) -> list[TokenView]:
    x, frames = seen['x'][:1], seen['frames']
    shape = (frames, *neck.grid_size)
    band = graph.band if graph.use_adjacency else frames - 1
    h = graph.test_similarity_threshold if graph.use_adjacency else None
    links = dense_graph(x, frames, h, band)
    linked = torch.ones_like(links.weights, dtype=torch.bool) if links.linked is None else links.linked
    cls = seen['fusion'][:frames, :, 0, 1:].mean(1).reshape(shape)
    views = []
    for token in tokens:
        if any(not 0 <= place < size for place, size in zip(token, shape)):
            raise ValueError(f'no token {token}: frames, rows and columns are {shape}, the first is 0.')
        place = (token[0] * shape[1] + token[1]) * shape[2] + token[2]
        weights = links.weights[0, place] if graph.use_edge_weights else None
        maps = (
            links.weights[0, place],
            linked[0, place],
            token_attention(graph, x, place, weights, linked[0, place])[0].mean(0),
            token_attention(graph, x, place)[0].mean(0),
            cls,
        )
        window = frame_window(token[0], frames, band)
        views.append(TokenView(tuple(token), h, window, *(each.reshape(shape).cpu() for each in maps)))
    return views


@torch.no_grad()
def token_attention(
    graph: SpatioTemporalGraphAttention,
    x: Tensor,
    place: int,
    weights: Tensor | None = None,
    linked: Tensor | None = None,
) -> Tensor:
    """Computes what a token of x [B, T*N, C] attends to, with W_s and A [T*N] or without: [B, H, T*N].

    Source: Eq. 8-11, as the dense backend of ``SpatioTemporalGraphAttention``.
    """
    query = graph.W_Q(x[:, place]).unflatten(-1, (graph.num_heads, -1))
    keys = graph.W_K(x).unflatten(-1, (graph.num_heads, -1))
    scores = torch.einsum('bhd,bnhd->bhn', query, keys) / math.sqrt(query.shape[-1])
    if weights is not None:
        scores = scores * weights
    if linked is not None:
        scores = scores.masked_fill(~linked, float('-inf'))
    return scores.softmax(-1)


def view_pooling(model: nn.Module, inputs: dict[str, Tensor]) -> Sampling:
    """Looks where the max-pooling of one clip samples; ``inputs`` as for :func:`view_tokens`.

    Raises ``ValueError`` if the neck is not STGT, or the clip has one frame, which is not pooled.
    """
    neck = graph_neck(model)
    seen: list[Tensor] = []
    hook = neck.blocks[-1].register_forward_hook(lambda _, args, out: seen.append(out[0]))
    try:
        with evaluating(model), torch.no_grad():
            model.pool_frames(inputs)
    finally:
        hook.remove()
    if len(seen[0]) == 1:
        raise ValueError('a clip of one frame keeps all its tokens: there is no max-pooling to draw.')
    patches = seen[0][:, 1:].unflatten(1, neck.grid_size)
    of_columns, of_rows = (_shares(patches.argmax(axis), patches.shape[axis]) for axis in (1, 2))
    return Sampling(of_columns.transpose(1, 2), of_rows)


def _shares(index: Tensor, places: int) -> Tensor:
    """Shares of the channels that chose each of n places: indices (T, G, C) to (T, G, n)."""
    return F.one_hot(index, places).float().mean(2).cpu()
