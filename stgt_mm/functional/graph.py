"""The spatio-temporal graph: which tokens are linked, and how strong each link is (STGT, Eq. 6, 7 and 10).

Legend: B batch, T frames, N tokens of a frame, C width, w frames that a frame sees (itself included).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from stgt_mm.functional.precision import without_autocast


class FrameGraph(NamedTuple):
    """The links of the tokens of one frame to the tokens of the frames that it sees."""

    weights: Tensor  # [B, N, w*N], similarity W_s, float32 (float64 for float64 tokens)
    linked: Tensor | None  # [B, N, w*N], True where a link is kept; None when every pair is linked


def check_threshold(threshold: float) -> float:
    """Returns the similarity threshold h, the smallest cosine that is a link, if it lies in [-1, 1).

    -1 links every pair of the band, 0 drops negative cosines; from 1 on only rounding would decide.
    """
    if not -1 <= threshold < 1:
        raise ValueError(
            f'similarity threshold {threshold} is outside [-1, 1): a cosine is at most 1, so no link between '
            'two tokens would be left. Use 0.1 to 0.9; -1 keeps every link of the band.'
        )
    return threshold


def frame_window(frame: int, frames: int, band: int) -> tuple[int, int]:
    """Returns the frames that ``frame`` sees with ``band`` on each side: the first and one past the last."""
    return max(0, frame - band), min(frames, frame + band + 1)


def band_mask(frames: int, nodes: int, band: int, device: torch.device | None = None) -> Tensor:
    """Tells which pairs of tokens, ordered by frame, lie at most ``band`` frames apart: bool [T*N, T*N].

    Source: the spatio-temporal part of Eq. 7.
    """
    frame = torch.arange(frames, device=device).repeat_interleave(nodes)
    return (frame[:, None] - frame[None, :]).abs() <= band


def unit_tokens(tokens: Tensor) -> Tensor:
    """Scales tokens [..., C] to length 1, detached, at least in float32; a zero token stays zero."""
    tokens = tokens.detach()
    return F.normalize(tokens if tokens.dtype == torch.float64 else tokens.float(), dim=-1)


def _reaches(weights: Tensor, threshold: float) -> Tensor:
    """Tells which cosines are links; at -1 all are, also those that rounding put below it."""
    return torch.ones_like(weights, dtype=torch.bool) if threshold <= -1 else weights >= threshold


def dense_graph(tokens: Tensor, frames: int, threshold: float | None, band: int = 1) -> FrameGraph:
    """Builds the graph over all tokens of the clip.

    Args:
        tokens: shape [B, T*N, C], ordered by frame.
        frames: T.
        threshold: h; None links every pair of tokens of the clip, without band.
        band: Frames on each side.

    Returns:
        The graph, shapes [B, T*N, T*N]. A link is kept when its cosine is >= h in the band; a token
        always keeps the link to itself: rounding can put its own cosine below 1, that of a zero token is 0.

    Source: Eq. 6 (W_s, as cosine), Eq. 7 and 10 (adjacency); >= as in the authors' release.
    """
    with without_autocast(tokens.device):
        unit = unit_tokens(tokens)
        weights = unit @ unit.transpose(-1, -2)
    if threshold is None:
        return FrameGraph(weights, None)
    total = tokens.shape[1]
    linked = _reaches(weights, threshold) & band_mask(frames, total // frames, band, tokens.device)
    return FrameGraph(weights, linked | torch.eye(total, dtype=torch.bool, device=tokens.device))


def split_frames(graph: FrameGraph, frames: int, band: int) -> tuple[FrameGraph, ...]:
    """Cuts the graph of ``dense_graph`` to what ``banded_graph`` builds, without copies."""
    nodes = graph.weights.shape[1] // frames
    parts = []
    for frame in range(frames):
        first, stop = frame_window(frame, frames, band)
        rows, columns = slice(frame * nodes, (frame + 1) * nodes), slice(first * nodes, stop * nodes)
        parts.append(FrameGraph(*(None if x is None else x[:, rows, columns] for x in graph)))
    return tuple(parts)


def banded_graph(
    tokens: Tensor, frames: int, threshold: float | None, band: int = 1
) -> tuple[FrameGraph, ...]:
    """Builds the same graph frame by frame; memory and time are linear in T.

    Args:
        tokens: shape [B, T*N, C], ordered by frame.
        frames: T.
        threshold: h; None keeps every link of the band.
        band: Frames on each side.

    Returns:
        One graph a frame; its columns are the tokens of the frames ``frame_window`` names.
    """
    graphs = []
    with without_autocast(tokens.device):
        unit = unit_tokens(tokens).unflatten(1, (frames, -1))
        for frame in range(frames):
            first, stop = frame_window(frame, frames, band)
            weights = unit[:, frame] @ unit[:, first:stop].flatten(1, 2).transpose(-1, -2)
            linked = None
            if threshold is not None:
                linked = _reaches(weights, threshold)
                nodes = unit.shape[2]
                own = linked[:, :, (frame - first) * nodes : (frame - first + 1) * nodes]
                own.diagonal(dim1=-2, dim2=-1).fill_(1)  # not True: tracing knows numbers only
            graphs.append(FrameGraph(weights, linked))
    return tuple(graphs)


def graph_density(graphs: tuple[FrameGraph, ...]) -> Tensor:
    """Computes the share of links kept among those the band allows.

    Args:
        graphs: One graph a frame.

    Returns:
        0-d float32 tensor in (0, 1], on the device of the graph: reading it is left to the caller.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.graph import banded_graph, graph_density
        >>> tokens = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])  # three frames of one token
        >>> graphs = banded_graph(tokens, frames=3, threshold=0.5)
        >>> graphs[1].linked  # the second frame sees all three, and is at right angles to the first
        tensor([[[False,  True,  True]]])
        >>> graph_density(graphs)  # 5 of the 7 pairs in the band
        tensor(0.7143)
    """
    masks = [graph.linked for graph in graphs if graph.linked is not None]
    if not masks:
        return torch.ones((), device=graphs[0].weights.device)
    kept = torch.stack([mask.count_nonzero() for mask in masks]).sum()
    return kept.float() / sum(mask.numel() for mask in masks)
