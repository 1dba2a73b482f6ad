"""The paper's baseline: one message token a frame (CCT), then a transformer over time (MIT)."""

import torch
from timm.layers import DropPath
from timm.models.vision_transformer import Attention
from torch import Tensor, nn

from stgt_mm.functional.position import resize_temporal
from stgt_mm.models.layers import TransformerBlock, check_heads, init_linear
from stgt_mm.models.necks.base import BaseNeck
from stgt_mm.registry import MODELS


class CrossFrameBlock(nn.Module):
    """Cross-frame communication: the CLS tokens write a message that the last token of each frame receives.

    Source: cross-frame communication of X-CLIP (arXiv 2208.02816), section 3.2, as the STGT release changes
    it: the message is added to an appended token.
    """

    def __init__(self, embed_dims: int, num_heads: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.message_fc = nn.Linear(embed_dims, embed_dims)
        self.message_norm = nn.LayerNorm(embed_dims)
        self.message_attn = Attention(embed_dims, num_heads, qkv_bias=True)
        self.drop_path = DropPath(drop_path)
        self.frame_block = TransformerBlock(embed_dims, num_heads, drop_path=drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens [B, T, L, C], CLS first and the receiving token last, to the same shape."""
        message = self.message_fc(x[:, :, 0])
        message = message + self.drop_path(self.message_attn(self.message_norm(message)))
        x = torch.cat([x[:, :, :-1], x[:, :, -1:] + message[:, :, None]], dim=2)
        return self.frame_block(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class MultiFrameIntegration(nn.Module):
    """Transformer over the frame tokens of a clip, averaged over time with the input added back.

    Source: multi-frame integration of X-CLIP (arXiv 2208.02816), section 3.2.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        num_frames: int,
        num_layers: int,
        temporal_resize: str,
        temporal_init_std: float,
    ) -> None:
        super().__init__()
        self.temporal_resize = temporal_resize
        self.temporal_embed = nn.Parameter(torch.randn(num_frames, embed_dims) * temporal_init_std)
        self.blocks = nn.Sequential(*(TransformerBlock(embed_dims, num_heads) for _ in range(num_layers)))

    def forward(self, x: Tensor) -> Tensor:
        """Maps frame tokens [B, T, C] to one video token [B, C]."""
        temporal = resize_temporal(self.temporal_embed, x.shape[1], self.temporal_resize)
        return (x + self.blocks(x + temporal)).mean(dim=1)


@MODELS.register_module()
class CrossFrameNeck(BaseNeck):
    """CCT and MIT, one layer each: the baseline of the paper's ablation.

    Args:
        embed_dims: C.
        num_heads: H; 16 at C = 1408.
        num_frames: T of the temporal embedding; another T resizes it.
        num_layers: Cross-frame blocks.
        integration_layers: Blocks of the transformer over time.
        drop_path: Stochastic depth of the cross-frame blocks.
        temporal_resize: 'linear', or 'nearest' as in the release.
        temporal_init_std: Std of the temporal embedding at the start.
        init_std: Std of the Linear weights at the start.

    Raises:
        ValueError: If a count is below 1 or the tokens have another width.

    Source: STGT (arXiv 2407.11677), Table 2, baseline; tokens as in its release.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        num_frames: int = 8,
        num_layers: int = 1,
        integration_layers: int = 1,
        drop_path: float = 0.0,
        temporal_resize: str = 'linear',
        temporal_init_std: float = 0.02,
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        counts = (num_frames, num_layers, integration_layers)
        for name, value in zip(('num_frames', 'num_layers', 'integration_layers'), counts):
            if value < 1:
                raise ValueError(f'{name} {value} must be at least 1.')
        check_heads(embed_dims, num_heads)
        self.embed_dims = embed_dims
        self.video_token = nn.Parameter(torch.zeros(embed_dims))
        self.blocks = nn.Sequential(
            *(CrossFrameBlock(embed_dims, num_heads, drop_path) for _ in range(num_layers))
        )
        self.norm = nn.LayerNorm(embed_dims)
        self.proj = nn.Parameter(torch.randn(embed_dims, embed_dims) * embed_dims**-0.5)
        self.integration = MultiFrameIntegration(
            embed_dims, num_heads, num_frames, integration_layers, temporal_resize, temporal_init_std
        )
        init_linear(self, init_std)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps [B, T, 1+N, C] to [B, 1+N+1, C]: every token averaged over time, then one for the video."""
        if tokens.ndim != 4 or tokens.shape[-1] != self.embed_dims:
            raise ValueError(
                f'CrossFrameNeck expects tokens [B, T, 1+N, {self.embed_dims}] but got {list(tokens.shape)}.'
            )
        extra = self.video_token.expand(*tokens.shape[:2], 1, -1).to(tokens.dtype)
        x = self.blocks(torch.cat([tokens, extra], dim=2))
        video = self.integration(self.norm(x[:, :, -1]) @ self.proj)
        return torch.cat([x[:, :, :-1].mean(dim=1), video[:, None]], dim=1)
