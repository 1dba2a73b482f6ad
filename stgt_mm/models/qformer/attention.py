"""Multi-head attention whose keys and values can be made once and used many times."""

import torch.nn.functional as F
from torch import Tensor, nn

KeysValues = tuple[Tensor, Tensor]


class Attention(nn.Module):
    """BERT attention, split in two so that keys and values can be kept.

    ``project`` makes keys and values of what is read, ``forward`` lets a sequence read them. Self-attention
    is ``attention(x, *attention.project(x))``; cross-attention passes the keys and values of the video.

    Source: BERT (arXiv 1810.04805); scaled by sqrt(D / H).
    """

    def __init__(self, width: int, context_width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(context_width, width)
        self.value = nn.Linear(context_width, width)
        self.output = nn.Linear(width, width)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def project(self, context: Tensor) -> KeysValues:
        """Makes the keys and values, each (B, H, S, d), of what is read (B, S, context_width)."""
        return self._split(self.key(context)), self._split(self.value(context))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Lets ``x`` (B, R, D) read keys and values (B, H, S, d); gives (B, R, D), before residual and norm.

        The mask is boolean, broadcastable to (B, H, R, S); True at (i, j) means that i may read j. Each row
        needs a True.
        """
        dropout = self.dropout if self.training else 0.0
        read = F.scaled_dot_product_attention(
            self._split(self.query(x)), keys, values, attn_mask=mask, dropout_p=dropout
        )
        return self.output(read.transpose(1, 2).flatten(2))
