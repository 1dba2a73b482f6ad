"""Attention inside a band of frames, with its own gradient: time and memory are linear in T.

Plain autograd would keep five tensors of the size of the scores. Here the scores of a few heads of one frame
are made, weighted, masked and normalised while they sit in the cache; only the probabilities are kept, and
only when a gradient is wanted.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from stgt_mm.functional.graph import FrameGraph, frame_window
from stgt_mm.functional.precision import without_autocast

# Score elements handled at once: 4 MiB in float32, which the caches of a core hold. CPU time was within 10%
# of the best from 2^16 to 2^22, for one clip of 8x256 tokens (width 768) and 64 of 8x36 (width 96).
CHUNK_ELEMENTS = 1 << 20
# A GPU has no such cache and pays for every kernel, so it gets as much as a memory budget allows: about four
# tensors of this size live at once (scores, softmax, its cast, dropout), 1 GiB in float32. All heads of a
# frame at batch 20 (3*256*256 scores, 16 heads) are one chunk: 8 a forward, where the size above gives 560.
CUDA_CHUNK_ELEMENTS = 1 << 26


def chunk_elements(device: torch.device) -> int:
    """Returns how many score elements a device handles at once."""
    return CUDA_CHUNK_ELEMENTS if device.type == 'cuda' else CHUNK_ELEMENTS


class _Chunk(NamedTuple):
    """Rows [start, stop) of the folded batch-and-heads axis for one frame and the frames that it sees."""

    frame: int
    start: int
    stop: int
    query: slice
    keys: slice
    weights: Tensor | None
    bias: Tensor | None


class BandSpec(NamedTuple):
    """What the attention needs besides queries, keys and values; ``keep``: a gradient will be wanted."""

    graphs: tuple[FrameGraph, ...]
    band: int
    dropout: float
    use_weights: bool
    keep: bool


def _chunks(spec: BandSpec, batch: int, heads: int, nodes: int, elements: int) -> Iterator[_Chunk]:
    """Cuts the work into pieces: whole samples when they are small, some heads of one sample when large."""
    for frame, graph in enumerate(spec.graphs):
        first, stop = frame_window(frame, len(spec.graphs), spec.band)
        bias = None
        if graph.linked is not None:
            # 0 where linked and -inf elsewhere: weighting and masking become one pass over the scores
            bias = torch.zeros_like(graph.weights).masked_fill_(~graph.linked, float('-inf'))
        weights = graph.weights if spec.use_weights else None
        rows = max(1, elements // ((stop - first) * nodes * nodes))
        samples = max(1, rows // heads)
        # less than all heads only of a single sample: a chunk then has one graph, or each sample its own
        step = heads if rows >= heads else rows
        query, keys = slice(frame * nodes, (frame + 1) * nodes), slice(first * nodes, stop * nodes)
        for low in range(0, batch, samples):
            high = min(batch, low + samples)
            part = [None if x is None else x[low:high, None] for x in (weights, bias)]
            for head in range(0, heads, step):
                end = high * heads if step == heads else low * heads + min(heads, head + step)
                yield _Chunk(frame, low * heads + head, end, query, keys, *part)


def _weigh(scores: Tensor, chunk: _Chunk) -> Tensor:
    """Multiplies scores [R, N, K] by W_s and masks what is not linked, in place."""
    if chunk.weights is None and chunk.bias is None:
        return scores
    # [samples, heads, N, K]: heads of a sample share its graph by broadcasting
    shaped = scores.unflatten(0, ((chunk.weights if chunk.bias is None else chunk.bias).shape[0], -1))
    if chunk.bias is None:
        shaped.mul_(chunk.weights)
    elif chunk.weights is None:
        shaped.add_(chunk.bias)
    else:
        torch.addcmul(chunk.bias, shaped, chunk.weights, out=shaped)
    return scores


def banded_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    graphs: tuple[FrameGraph, ...],
    band: int,
    dropout: float = 0.0,
    use_weights: bool = True,
) -> Tensor:
    """Computes softmax(W_s * Q K^T, where linked) V, frame by frame.

    Args:
        query: shape [B, H, T*N, d], already divided by sqrt(d); tokens ordered by frame.
        key: shape [B, H, T*N, d].
        value: shape [B, H, T*N, d].
        graphs: One graph a frame, from ``banded_graph``.
        band: Frames on each side.
        dropout: Probability of dropping an attention weight, in [0, 1).
        use_weights: Whether scores are multiplied by W_s.

    Returns:
        shape [B, H, T*N, d]. Scores and softmax are float32 whatever the type of the queries (float64 stays).

    Source: Eq. 9-12.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.graph import banded_graph
        >>> from stgt_mm.models.layers import banded_attention
        >>> tokens = torch.eye(3)[None]  # three frames of one token, all at right angles: no links
        >>> graphs = banded_graph(tokens, frames=3, threshold=0.5)
        >>> torch.equal(banded_attention(tokens[None], tokens[None], tokens[None], graphs, band=1)[0], tokens)
        True
    """
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    spec = BandSpec(graphs, band, dropout, use_weights, keep)
    if keep:
        return _BandedAttention.apply(query, key, value, spec)
    # No gradient, no autograd function: what traces a model or counts its operations sees each of them.
    return _unfold(_attend(query, key, value, spec)[0], query.shape[0])


def _attend(query: Tensor, key: Tensor, value: Tensor, spec: BandSpec) -> tuple[Any, ...]:
    """Computes scores, weights, probabilities and their sums of values, chunk by chunk.

    Returned are the output [T, B*H, N, d] and, for the gradient, q, k, v, chunks, probabilities and scale.
    """
    batch, heads, total, width = query.shape
    frames = len(spec.graphs)
    nodes = total // frames
    # Kept weights count 1 / (1 - dropout): scaling the values once spares a pass over the scores.
    scale = 1 / (1 - _levels(spec.dropout) / 65536)
    scaled = value * scale if spec.dropout else value
    q, k, v = (x.reshape(batch * heads, total, width) for x in (query, key, scaled))
    # Frames come first, so that each chunk writes one contiguous block by ``out=``, without a copy.
    out = q.new_empty(frames, batch * heads, nodes, width)
    chunks = list(_chunks(spec, batch, heads, nodes, chunk_elements(query.device)))
    kept: list[Tensor] = []
    with without_autocast(query.device):
        for chunk in chunks:
            rows = slice(chunk.start, chunk.stop)
            scores = torch.bmm(q[rows, chunk.query], k[rows, chunk.keys].transpose(1, 2))
            # weighting and softmax in float32: half precision would round the probabilities to 3 digits
            scores = scores if scores.dtype == torch.float64 else scores.float()
            probabilities = torch.softmax(_weigh(scores, chunk), dim=-1).to(v.dtype)
            used = probabilities * _draw(probabilities, spec.dropout) if spec.dropout else probabilities
            torch.bmm(used, v[rows, chunk.keys], out=out[chunk.frame, rows])
            if spec.keep:
                kept += [probabilities, used]  # one tensor twice without dropout: no second copy is stored
    return out, (q, k, v), chunks, kept, scale


class _BandedAttention(torch.autograd.Function):
    """The forward pass above with its own gradient."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, spec: BandSpec) -> Tensor:
        out, folded, chunks, kept, scale = _attend(query, key, value, spec)
        ctx.save_for_backward(*folded, out, *kept)
        # The mask is in the probabilities, which are 0 where nothing is linked: the gradient needs no bias.
        ctx.chunks = [chunk._replace(bias=None) for chunk in chunks]
        ctx.scale, ctx.shape = scale, query.shape
        return _unfold(out, query.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, *kept = ctx.saved_tensors
        grad = grad.reshape(q.shape)
        # A query lies in one frame and is written once; keys and values of a frame are read by all frames of
        # the band, so their gradients are sums.
        dq, dk, dv = torch.empty_like(out), torch.zeros_like(k), torch.zeros_like(v)
        with without_autocast(grad.device):
            for chunk, probabilities, used in zip(ctx.chunks, kept[::2], kept[1::2]):
                rows = slice(chunk.start, chunk.stop)
                g = grad[rows, chunk.query]
                dv[rows, chunk.keys] += torch.bmm(used.transpose(1, 2), g)
                # Softmax: ds = used * dp - p * sum(p * dp); that sum is the product of output and gradient.
                ds = torch.bmm(g, v[rows, chunk.keys].transpose(1, 2)).mul_(used)
                delta = (g * out[chunk.frame, rows]).sum(-1, keepdim=True)
                ds.addcmul_(probabilities, delta, value=-1)
                if chunk.weights is not None:
                    # scores are W_s * QK^T with W_s detached: the chain rule is the same product once more
                    ds.unflatten(0, (chunk.weights.shape[0], -1)).mul_(chunk.weights)
                torch.bmm(ds, k[rows, chunk.keys], out=dq[chunk.frame, rows])
                dk[rows, chunk.keys] += torch.bmm(ds.transpose(1, 2), q[rows, chunk.query])
        # dv is the gradient of the scaled values
        return _unfold(dq, ctx.shape[0]), dk.view(ctx.shape), (dv * ctx.scale).view(ctx.shape), None


def _levels(dropout: float) -> int:
    """Dropout in units of 2^-16, which is what 16 random bits can decide."""
    return round(dropout * 65536)


def _draw(like: Tensor, dropout: float) -> Tensor:
    """Draws which weights are kept: bool, shape of ``like``.

    Four 16-bit numbers come out of each 64-bit draw: on a CPU the draw of ``F.dropout``, one number a weight,
    would cost as much as the whole attention.
    """
    bits = torch.empty((like.numel() + 3) // 4, dtype=torch.int64, device=like.device)
    numbers = bits.random_(-(2**63), None).view(torch.int16)[: like.numel()]
    return (numbers >= _levels(dropout) - 32768).view(like.shape)


def _unfold(x: Tensor, batch: int) -> Tensor:
    """[T, B*H, N, d] -> [B, H, T*N, d]."""
    return x.transpose(0, 1).flatten(1, 2).unflatten(0, (batch, -1))
