"""Attention between linked tokens of neighbouring frames: the spatio-temporal graph attention of STGT."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt_mm.functional.graph import (
    banded_graph,
    check_threshold,
    dense_graph,
    graph_density,
    split_frames,
)
from stgt_mm.models.layers.banded import banded_attention
from stgt_mm.models.layers.flex import flex_banded_attention
from stgt_mm.models.layers.transformer import check_heads

BACKENDS = ('auto', 'banded', 'dense', 'flex')


class SpatioTemporalGraphAttention(nn.Module):
    """Multi-head attention over the links of a graph that is built from the tokens themselves.

    The arguments are those of ``STGT``. Backend 'dense' is the readable reference with a T*N x T*N matrix;
    'banded' gives the same numbers with time and memory linear in T; so does 'flex', in one fused kernel
    without dropout, for a GPU: it has no gradient on a CPU. 'auto' is 'banded' on every device: the faster
    one at every size tried on a CPU, and no GPU was there to try 'flex'.

    Source: Eq. 6-12, no residual. Here (as in the release) the scores are multiplied by W_s and what is not
    linked is masked: Eq. 11 read literally is 0 * (-inf).
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        similarity_threshold: float = 0.1,
        test_similarity_threshold: float | None = 0.5,
        use_adjacency: bool = True,
        use_edge_weights: bool = True,
        band: int = 1,
        attn_drop: float = 0.1,
        backend: str = 'auto',
    ) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        if backend not in BACKENDS:
            raise ValueError(f'attention backend {backend!r} is unknown: use one of {", ".join(BACKENDS)}.')
        if not isinstance(band, int) or band < 0:
            raise ValueError(f'band {band!r} must be 0 (own frame only) or a positive number of frames.')
        if not 0 <= attn_drop < 1:
            raise ValueError(f'attn_drop {attn_drop} must be in [0, 1).')
        if test_similarity_threshold is None:
            test_similarity_threshold = similarity_threshold
        self.similarity_threshold = check_threshold(similarity_threshold)
        self.test_similarity_threshold = check_threshold(test_similarity_threshold)
        self.num_heads = num_heads
        self.use_adjacency = use_adjacency
        self.use_edge_weights = use_edge_weights
        self.band = band
        self.attn_drop = 0.0 if backend == 'flex' else attn_drop
        self.backend = 'banded' if backend == 'auto' else backend
        self.W_Q = nn.Linear(embed_dims, embed_dims)
        self.W_K = nn.Linear(embed_dims, embed_dims)
        self.W_V = nn.Linear(embed_dims, embed_dims)
        self.W_O = nn.Linear(embed_dims, embed_dims)
        # of the last training forward: 0-d, float32, on the device of the tokens
        self.graph_density: Tensor | None = None

    def extra_repr(self) -> str:
        """Settings that decide which tokens are linked."""
        return (
            f'h={self.similarity_threshold}/{self.test_similarity_threshold}, band={self.band}, '
            f'adjacency={self.use_adjacency}, edge_weights={self.use_edge_weights}, backend={self.backend}'
        )

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """Lets every token read those that it is linked to: [B, T*N, C], ordered by frame, to the same."""
        if frames < 1 or x.shape[1] == 0 or x.shape[1] % frames:
            raise ValueError(f'{x.shape[1]} tokens do not split evenly into {frames} frames.')
        heads = (self.num_heads, -1)
        q, k, v = (layer(x).unflatten(-1, heads).transpose(1, 2) for layer in (self.W_Q, self.W_K, self.W_V))
        q = q * (1 / math.sqrt(q.shape[-1]))
        dropout = self.attn_drop if self.training else 0.0
        if not (self.use_adjacency or self.use_edge_weights):
            if self.training:
                self.graph_density = torch.ones((), device=x.device)
            out = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=1.0)
        elif self.backend == 'dense':
            out = self._dense(x, frames, q, k, v, dropout)
        else:
            out = self._banded(x, frames, q, k, v, dropout)
        return self.W_O(out.transpose(1, 2).flatten(2))

    @property
    def _threshold(self) -> float | None:
        if not self.use_adjacency:
            return None
        return self.similarity_threshold if self.training else self.test_similarity_threshold

    def _banded(self, x: Tensor, frames: int, q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
        band = self.band if self.use_adjacency else frames - 1
        graphs = banded_graph(x, frames, self._threshold, band)
        if self.training:
            self.graph_density = graph_density(graphs)
        if self.backend == 'flex':
            return flex_banded_attention(q, k, v, graphs, band, self.use_edge_weights)
        return banded_attention(q, k, v, graphs, band, dropout, self.use_edge_weights)

    def _dense(self, x: Tensor, frames: int, q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
        graph = dense_graph(x, frames, self._threshold, self.band)
        if self.training:
            self.graph_density = graph_density(split_frames(graph, frames, self.band))
        scores = q @ k.transpose(-1, -2)
        if self.use_edge_weights:
            scores = scores * graph.weights[:, None]  # before the mask: 0 * (-inf) would be NaN
        if graph.linked is not None:
            scores = scores.masked_fill(~graph.linked[:, None], float('-inf'))
        scores = scores if scores.dtype == torch.float64 else scores.float()
        return F.dropout(scores.softmax(-1).to(v.dtype), dropout) @ v
