"""One block of the spatio-temporal graph transformer."""

from typing import Any

import torch
from torch import Tensor, nn

from stgt_mm.models.layers import SpatioTemporalGraphAttention, TransformerBlock


class STGTBlock(nn.Module):
    """CLS tokens exchange across frames, patches along the graph, then both within each frame.

    ``global_passes`` applies the block across frames with shared weights; 0 builds none. ``graph_residual``
    adds the patches to what the graph attention gives them, as the release does not. ``graph`` goes to
    ``SpatioTemporalGraphAttention``.

    Source: Eq. 4-5 (CLS across frames), Eq. 6-12 (graph), Eq. 13-14 (fusion). The release applies the first
    twice with the same weights, and has a Linear before everything that Table 6 counts.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        global_passes: int = 2,
        drop_path: float = 0.0,
        graph_residual: bool = False,
        **graph: Any,
    ) -> None:
        super().__init__()
        if not isinstance(global_passes, int) or global_passes < 0:
            raise ValueError(f'global_passes {global_passes!r} must be 0 or a positive number of passes.')
        self.global_passes = global_passes
        self.graph_residual = graph_residual
        self.in_proj = nn.Linear(embed_dims, embed_dims)
        # DDP waits for gradients that a block without passes would never get
        self.global_block = TransformerBlock(embed_dims, num_heads) if global_passes else None
        self.graph_attention = SpatioTemporalGraphAttention(embed_dims, num_heads, **graph)
        self.fusion_block = TransformerBlock(embed_dims, num_heads, drop_path=drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens [B, T, 1+N, C], CLS first, to the same shape."""
        batch, frames, length, _ = tokens.shape
        tokens = self.in_proj(tokens)
        cls = tokens[:, :, 0]
        for _ in range(self.global_passes):
            cls = self.global_block(cls)
        patches = tokens[:, :, 1:].flatten(1, 2)
        local = self.graph_attention(patches, frames)
        if self.graph_residual:
            local = patches + local
        tokens = torch.cat([cls[:, :, None], local.unflatten(1, (frames, length - 1))], dim=2)
        return self.fusion_block(tokens.flatten(0, 1)).unflatten(0, (batch, frames))
