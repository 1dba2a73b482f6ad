"""The pre-norm transformer block of CLIP's towers: self-attention and a QuickGELU MLP, both residual."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), the approximation that CLIP was trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """Applies the activation to any shape."""
        return x * torch.sigmoid(1.702 * x)


class DropPath(nn.Module):
    """Drops the residual branch of whole samples in training (stochastic depth).

    Args:
        rate: Probability of dropping a sample, in [0, 1).

    Raises:
        ValueError: If the rate is outside [0, 1).
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f'drop_path {rate} must be in [0, 1).')
        self.rate = rate

    def extra_repr(self) -> str:
        """Returns the rate."""
        return f'rate={self.rate}'

    def forward(self, x: Tensor) -> Tensor:
        """Returns x with the samples of axis 0 dropped or scaled by 1 / (1 - rate)."""
        if not (self.training and self.rate):
            return x
        keep = x.new_empty(x.shape[0], *[1] * (x.ndim - 1)).bernoulli_(1 - self.rate)
        return x * keep.div_(1 - self.rate)


class SelfAttention(nn.Module):
    """Multi-head self-attention with biases.

    Args:
        embed_dims: C.
        num_heads: H, divides C.

    Raises:
        ValueError: If C is not a multiple of H.
    """

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or embed_dims % num_heads:
            raise ValueError(f'embed_dims {embed_dims} is not a multiple of num_heads {num_heads}.')
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens [B, L, C] to [B, L, C]."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Pre-norm block: x + attention(norm1(x)), then x + MLP(norm2(x)).

    Args:
        embed_dims: C.
        num_heads: H.
        mlp_ratio: Hidden width of the MLP in units of C.
        drop_path: Rate of stochastic depth of both branches.

    Source: Eq. 13-14 with the release's choices: QuickGELU, biases, LayerNorm eps 1e-5.
    """

    def __init__(
        self, embed_dims: int, num_heads: int, mlp_ratio: float = 4.0, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        hidden = int(embed_dims * mlp_ratio)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.attn = SelfAttention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.fc1 = nn.Linear(embed_dims, hidden)
        self.act = QuickGELU()
        self.fc2 = nn.Linear(hidden, embed_dims)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens [B, L, C] to [B, L, C]."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.fc2(self.act(self.fc1(self.norm2(x)))))


def init_linear(module: nn.Module, std: float = 0.02) -> None:
    """Draws every Linear below ``module`` from a truncated normal with zero biases.

    Args:
        module: Changed in place.
        std: Standard deviation. A Linear keeps the scale of its input at ``C ** -0.5``: 0.027 at C = 1408.

    Raises:
        ValueError: If ``std`` is not positive.
    """
    if std <= 0:
        raise ValueError(f'init_std {std} must be positive.')
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
