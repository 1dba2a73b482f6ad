"""STGT: the spatio-temporal graph transformer between a frozen image backbone and the Q-Former."""

import logging

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from stgt_mm.functional.position import resize_temporal, sincos_position, to_grid
from stgt_mm.models.layers import init_linear
from stgt_mm.models.necks.base import BaseNeck
from stgt_mm.models.necks.stgt_block import STGTBlock
from stgt_mm.registry import MODELS


@MODELS.register_module()
class STGT(BaseNeck):
    """Mixes frame tokens along a similarity graph, then pools rows and columns of every frame.

    Args:
        embed_dims: C, a multiple of 4 and of ``num_heads``.
        num_heads: H; 16 at C = 1408.
        num_frames: T the temporal embedding is learnt for; another T resizes it.
        grid_size: Patch grid of a frame, int or (Gh, Gw).
        num_layers: Blocks; 1 in the paper.
        similarity_threshold: h in training.
        test_similarity_threshold: h in evaluation.
        use_adjacency: False is attention over all T*N tokens, without band and threshold.
        use_edge_weights: Whether attention scores are multiplied by the similarity W_s.
        global_passes: Passes of the shared block over the CLS tokens: 1 in the paper, 2 in the release.
        attn_drop: Dropout of the graph attention's weights; 'flex' has none.
        drop_path: Stochastic depth of the fusion blocks.
        temporal_resize: 'linear', or 'nearest' as in the release.
        attention_backend: 'auto', 'banded', 'dense' or 'flex'; see ``SpatioTemporalGraphAttention``.
        band: Frames on each side that a token sees; 1 in the paper.
        graph_residual: Whether a patch is added to what the graph attention gives it; neither the paper nor
            the release does that.
        temporal_init_std: Std of the temporal embedding at the start. 0.02 suits C = 1408; a tiny model needs
            the scale of its tokens, about 0.5.
        init_std: Std of the Linear weights at the start; 0.02 is near C ** -0.5 at C = 1408. The graph
            attention has no residual around it by default: at a small C take C ** -0.5, else the tokens
            vanish in four Linears in a row.

    Raises:
        ValueError: If an argument or the shape of the tokens has no meaning here.

    Source: STGT, Section 3 (Eq. 1-15) with the authors' release where the two differ.
    """

    keeps_frames = True

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        num_frames: int = 8,
        grid_size: int | tuple[int, int] = 16,
        num_layers: int = 1,
        similarity_threshold: float = 0.1,
        test_similarity_threshold: float | None = 0.5,
        use_adjacency: bool = True,
        use_edge_weights: bool = True,
        global_passes: int = 2,
        attn_drop: float = 0.1,
        drop_path: float = 0.0,
        temporal_resize: str = 'linear',
        attention_backend: str = 'auto',
        band: int = 1,
        graph_residual: bool = False,
        temporal_init_std: float = 0.02,
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        if num_frames < 1 or num_layers < 1:
            raise ValueError(f'num_frames {num_frames} and num_layers {num_layers} must be at least 1.')
        if temporal_init_std < 0:
            raise ValueError(f'temporal_init_std {temporal_init_std} must not be negative.')
        if attention_backend == 'flex' and attn_drop:
            print_log(
                f"attention_backend='flex' has no dropout: attn_drop={attn_drop:g} is taken as 0.",
                logger='current',
                level=logging.WARNING,
            )
        self.embed_dims = embed_dims
        self.grid_size = to_grid(grid_size)
        self.temporal_resize = temporal_resize
        self.temporal_embed = nn.Parameter(torch.empty(num_frames, embed_dims))
        resize_temporal(self.temporal_embed.detach(), num_frames, temporal_resize)
        self.register_buffer('spatial_embed', sincos_position(embed_dims, self.grid_size))
        self.blocks = nn.ModuleList(
            STGTBlock(
                embed_dims,
                num_heads,
                global_passes,
                drop_path,
                graph_residual,
                similarity_threshold=similarity_threshold,
                test_similarity_threshold=test_similarity_threshold,
                use_adjacency=use_adjacency,
                use_edge_weights=use_edge_weights,
                band=band,
                attn_drop=attn_drop,
                backend=attention_backend,
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(embed_dims)
        self.proj = nn.Parameter(torch.randn(embed_dims, embed_dims) * embed_dims**-0.5)
        init_linear(self, init_std)
        if temporal_init_std:
            bound = 2 * temporal_init_std
            nn.init.trunc_normal_(self.temporal_embed, std=temporal_init_std, a=-bound, b=bound)
        else:
            nn.init.zeros_(self.temporal_embed)

    def statistics(self) -> dict[str, Tensor]:
        """Returns ``graph_density``, the share of links kept within the band as mean over the blocks."""
        densities = [block.graph_attention.graph_density for block in self.blocks]
        return {} if None in densities else {'graph_density': torch.stack(densities).mean()}

    def num_tokens(self, frames: int) -> int:
        """Returns M, the video tokens of a clip of T frames; an image (T = 1) keeps all its tokens."""
        rows, columns = self.grid_size
        return 1 + rows * columns if frames == 1 else frames * (1 + rows + columns)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens [B, T, 1+N, C], CLS first and patches in row-major order, to [B, M, C], see num_tokens.

        A frame gives its CLS, the maxima over rows and the maxima over columns (Eq. 15).
        """
        rows, columns = self.grid_size
        wanted = (1 + rows * columns, self.embed_dims)
        if tokens.ndim != 4 or tuple(tokens.shape[2:]) != wanted:
            raise ValueError(
                f'STGT expects tokens [B, T, {wanted[0]}, {wanted[1]}] (grid {rows}x{columns} and CLS) '
                f'but got {list(tokens.shape)}: set grid_size and embed_dims to those of the backbone.'
            )
        temporal = resize_temporal(self.temporal_embed, tokens.shape[1], self.temporal_resize)
        x = tokens + temporal[:, None] + self.spatial_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(self._pool(x)) @ self.proj

    def _pool(self, x: Tensor) -> Tensor:
        if x.shape[1] == 1:
            return x[:, 0]
        patches = x[:, :, 1:].unflatten(2, self.grid_size)
        return torch.cat([x[:, :, :1], patches.amax(2), patches.amax(3)], dim=2).flatten(1, 2)
