"""One layer of the Q-Former and the residual around each of its parts."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgt_mm.models.qformer.attention import Attention, KeysValues


class Residual(nn.Module):
    """Residual, dropout and LayerNorm around a branch, the norm after it (BERT) or before it.

    Post: ``norm(x + gain * branch(x))``. Pre: ``x + gain * branch(norm(x))``.
    """

    def __init__(self, width: int, dropout: float, norm: str, gain: float, eps: float) -> None:
        super().__init__()
        self.pre = norm == 'pre'
        self.gain = gain
        self.norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def enter(self, x: Tensor) -> Tensor:
        """Returns what the branch reads, same shape as ``x``."""
        return self.norm(x) if self.pre else x

    def leave(self, x: Tensor, branch: Tensor) -> Tensor:
        """Adds the output of the branch, shape (..., D), to ``x`` of the same shape."""
        total = torch.add(x, self.dropout(branch), alpha=self.gain)
        return total if self.pre else self.norm(total)


class FeedForward(nn.Module):
    """Linear, exact GELU, Linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., D) to (..., D)."""
        return self.down(F.gelu(self.up(x)))


class QFormerLayer(nn.Module):
    """Self-attention shared by queries and text, cross-attention to the video, two feed-forwards.

    Only the queries have cross-attention, and not in a layer whose ``vision_width`` is None; queries and text
    have a feed-forward each.

    Source: BLIP-2 (arXiv 2301.12597), figure 2.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        hidden: int,
        vision_width: int | None,
        dropout: float,
        norm: str,
        gain: float,
        eps: float,
    ) -> None:
        super().__init__()
        wrap = (width, dropout, norm, gain, eps)
        self.self_attention = Attention(width, width, num_heads, dropout)
        self.self_residual = Residual(*wrap)
        self.cross_attention = None
        if vision_width is not None:
            self.cross_attention = Attention(width, vision_width, num_heads, dropout)
            self.cross_residual = Residual(*wrap)
        self.query_ffn = FeedForward(width, hidden)
        self.query_residual = Residual(*wrap)
        self.text_ffn = FeedForward(width, hidden)
        self.text_residual = Residual(*wrap)

    def _read_video(self, queries: Tensor, video: KeysValues | None) -> Tensor:
        """Cross-attention and feed-forward of queries (V*k, Q, D), the k texts of a video side by side."""
        x = queries
        if video is not None:
            # The k*Q queries of one video stand in one row: its keys are read by all and copied for none.
            x = x.reshape(video[0].shape[0], -1, x.shape[-1])
            x = self.cross_residual.leave(x, self.cross_attention(self.cross_residual.enter(x), *video))
        x = self.query_residual.leave(x, self.query_ffn(self.query_residual.enter(x)))
        return x.view(queries.shape)

    def forward_queries(self, x: Tensor, video: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """Queries (V, Q, D) alone see each other and the video, keys and values (V, H, M, d) or None.

        Their self-attention keys and values, each (V, H, Q, d), are returned for a text that continues them.
        """
        normed = self.self_residual.enter(x)
        own = self.self_attention.project(normed)
        x = self.self_residual.leave(x, self.self_attention(normed, *own))
        return self._read_video(x, video), own

    def forward_text(
        self, x: Tensor, mask: Tensor | None, past: KeysValues | None = None
    ) -> tuple[Tensor, KeysValues]:
        """Text (B, L, D) alone, or behind self-attention keys and values ``past`` (B, H, P, d).

        The mask, broadcastable to (B, H, L, S), S = L or P + L, is True where reading is allowed; None allows
        all. The keys and values of all S are returned with the text.
        """
        normed = self.self_residual.enter(x)
        keys, values = self.self_attention.project(normed)
        if past is not None:
            keys, values = torch.cat([past[0], keys], dim=2), torch.cat([past[1], values], dim=2)
        x = self.self_residual.leave(x, self.self_attention(normed, keys, values, mask))
        return self.text_residual.leave(x, self.text_ffn(self.text_residual.enter(x))), (keys, values)

    def forward_joint(
        self,
        queries: Tensor,
        text: Tensor,
        mask: Tensor,
        video: KeysValues | None,
        keep_text: bool = True,
        real: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Queries and text in one sequence: each sees both, the queries also see the video.

        Queries are (V*k, Q, D), text (V*k, L, D), the mask (V*k, 1, 1, Q + L), True where reading is allowed.
        Without ``keep_text`` only what the queries read of the text is computed. ``real`` are indices into
        the V*k*L text positions: the feed-forward leaves out the others, which must be masked, as zeros.
        """
        count = queries.shape[1]
        both = torch.cat([queries, text], dim=1)
        normed = self.self_residual.enter(both)
        keys, values = self.self_attention.project(normed)
        if not keep_text:
            both, normed = queries, normed[:, :count]  # keys and values still are of both
        both = self.self_residual.leave(both, self.self_attention(normed, keys, values, mask))
        queries = self._read_video(both[:, :count], video)
        if not keep_text:
            return queries, None
        text = both[:, count:]
        rows = text if real is None else text.flatten(0, 1)[real]
        rows = self.text_residual.leave(rows, self.text_ffn(self.text_residual.enter(rows)))
        if real is None:
            return queries, rows
        filled = rows.new_zeros(text.shape).flatten(0, 1).index_copy(0, real, rows)
        return queries, filled.view(text.shape)
