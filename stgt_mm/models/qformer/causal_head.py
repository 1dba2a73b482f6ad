"""The language-model head that turns text states into token logits."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CausalHead(nn.Module):
    """BERT's prediction head: Linear, GELU, LayerNorm, then the word embeddings transposed plus a bias.

    The decoder has no weight of its own: the word embeddings are passed in, so that a checkpoint holds them
    once.

    Source: BERT (arXiv 1810.04805), masked-LM head, as BLIP-2 uses it for image-grounded text generation.
    """

    def __init__(self, width: int, vocab_size: int, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, states: Tensor, words: Tensor) -> Tensor:
        """Maps text states (B, L, D), with word embeddings (vocab_size, D), to logits (B, L, vocab_size)."""
        return F.linear(self.norm(F.gelu(self.dense(states))), words, self.bias)
