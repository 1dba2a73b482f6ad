"""The two ends of the Q-Former: embeddings of queries and words, and logits over the same words."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class QFormerEmbeddings(nn.Module):
    """Query and text embeddings that share one LayerNorm.

    Queries have no position: they are a set. Texts have learnt absolute positions and no segment embedding.

    Source: BLIP-2 (arXiv 2301.12597), section 3.1.
    """

    def __init__(
        self, vocab_size: int, width: int, num_queries: int, max_positions: int, dropout: float, eps: float
    ) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.empty(num_queries, width))
        self.words = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(max_positions, width)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def embed_queries(self, batch: int) -> Tensor:
        """Returns the queries, repeated: (batch, Q, D)."""
        queries = self.norm(self.queries)
        return self.dropout(queries.expand(batch, -1, -1))

    def embed_text(self, ids: Tensor, before: int = 0) -> Tensor:
        """Embeds token ids (B, L), behind ``before`` others, as (B, L, D).

        A text longer than ``max_positions`` is a ValueError.
        """
        length, longest = before + ids.shape[-1], self.positions.num_embeddings
        if length > longest:
            raise ValueError(
                f'a text has {length} tokens, the Q-Former has positions for {longest}; '
                "lower the tokenizer's max_length or raise max_positions."
            )
        return self.dropout(self.norm(self.words(ids) + self.positions.weight[before:length]))


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
