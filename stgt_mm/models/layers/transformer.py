"""The pre-norm transformer block of CLIP's towers: self-attention and a QuickGELU MLP, both residual."""

import torch.nn.functional as F
from timm.layers import DropPath
from timm.models.vision_transformer import Attention
from torch import Tensor, nn


def check_heads(embed_dims: int, num_heads: int) -> None:
    """Raises ValueError unless the heads divide the width."""
    if num_heads < 1 or embed_dims % num_heads:
        raise ValueError(f'embed_dims {embed_dims} is not a multiple of num_heads {num_heads}.')


class TransformerBlock(nn.Module):
    """Pre-norm block: x + attention(norm1(x)), then x + MLP(norm2(x)).

    ``drop_path`` is the rate of stochastic depth of both branches. Not timm's ``Block``: its keys have
    ``mlp.fc1`` for ``fc1``, and checkpoints exist.

    Source: Eq. 13-14 as in the release: QuickGELU, biases, LayerNorm eps 1e-5.
    """

    def __init__(
        self, embed_dims: int, num_heads: int, mlp_ratio: float = 4.0, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        if not 0 <= drop_path < 1:
            raise ValueError(f'drop_path {drop_path} must be in [0, 1).')
        hidden = int(embed_dims * mlp_ratio)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.attn = Attention(embed_dims, num_heads, qkv_bias=True)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.fc1 = nn.Linear(embed_dims, hidden)
        self.fc2 = nn.Linear(hidden, embed_dims)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens [B, L, C] to [B, L, C]."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self._mlp(self.norm2(x)))

    def _mlp(self, x: Tensor) -> Tensor:
        # x * sigmoid(a x) is silu(a x) / a, and a can be moved into the weights: one pass over the hidden
        # units forward and one backward, where QuickGELU as it is written takes three and five.
        scale = 1.702
        hidden = F.silu(F.linear(x, scale * self.fc1.weight, scale * self.fc1.bias))
        return F.linear(hidden, self.fc2.weight / scale, self.fc2.bias)


def init_linear(module: nn.Module, std: float = 0.02) -> None:
    """Draws the weights of every Linear of ``module`` from a truncated normal and zeroes the biases.

    A Linear keeps the scale of its input at a std of ``C ** -0.5``: 0.027 at C = 1408.
    """
    if std <= 0:
        raise ValueError(f'init_std {std} must be positive.')
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
