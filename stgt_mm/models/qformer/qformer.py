"""The Q-Former and its four passes: video, text, both together, text after video."""

import torch
from torch import Tensor, nn

from stgt_mm.models.qformer.attention import KeysValues
from stgt_mm.models.qformer.embeddings import CausalHead, QFormerEmbeddings
from stgt_mm.models.qformer.layer import QFormerLayer
from stgt_mm.registry import MODELS

VideoKeysValues = tuple[KeysValues, ...]


def select_videos(video: VideoKeysValues, index: Tensor | slice) -> VideoKeysValues:
    """Picks, repeats or reorders videos of ``project_video``; a slice as index copies nothing."""
    return tuple((keys[index], values[index]) for keys, values in video)


@MODELS.register_module()
class QFormer(nn.Module):
    """Querying transformer: learnt queries read a video, alone or together with a text.

    Each pass has the mask of BLIP-2: ``encode_video`` and ``encode_text`` see themselves only, ``fuse`` is
    fully bi-directional with padding hidden, in ``decode`` the text sees all queries and its own past while
    the queries never see the text. With the defaults, weights of BERT and BLIP-2 fit one to one.

    It is a plain module that initialises itself, so that mmengine's ``init_weights`` passes it by.

    Args:
        vocab_size: Tokens of the vocabulary, ``[DEC]`` included.
        width: Width D.
        depth: Layers.
        num_heads: Heads H.
        num_queries: Queries Q.
        vision_width: Width C of the video tokens.
        cross_attention_every: Cross-attention in every n-th layer, starting with the first.
        mlp_ratio: Inner width of the feed-forwards over ``width``.
        max_positions: Longest text, in tokens.
        dropout: Dropout on embeddings, attention weights and branches.
        norm: 'post' is BERT. 'pre' puts the norm in front of each branch and one more after the last layer; a
            small model that is trained from nothing learns sooner with it.
        residual_gain: Factor on every residual branch, at training and test alike. 1 is BERT. At 2, with
            ``norm='pre'``, what the queries read of the video weighs twice against the queries themselves:
            from an init of 0.02 it would else be a small part for long.
        init_std: Standard deviation of the initial weights and embeddings.
        query_init_std: The same for the queries; None takes ``init_std``.
        eps: Epsilon of the LayerNorms.

    Raises:
        ValueError: If heads do not divide the width, or an option is out of its range.

    Source: BLIP-2 (arXiv 2301.12597), section 3.1 and figure 2.
    """

    select_videos = staticmethod(select_videos)

    def __init__(
        self,
        vocab_size: int = 30523,
        width: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        num_queries: int = 32,
        vision_width: int = 1408,
        cross_attention_every: int = 2,
        mlp_ratio: float = 4.0,
        max_positions: int = 512,
        dropout: float = 0.1,
        norm: str = 'post',
        residual_gain: float = 1.0,
        init_std: float = 0.02,
        query_init_std: float | None = None,
        eps: float = 1e-12,
    ) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f'width {width} is not a multiple of num_heads {num_heads}; change one of them.')
        if depth < 1 or cross_attention_every < 1:
            raise ValueError(
                f'depth ({depth}) and cross_attention_every ({cross_attention_every}) must be at least 1.'
            )
        if norm not in ('post', 'pre'):
            raise ValueError(f"norm is '{norm}'; it must be 'post' (BERT) or 'pre'.")
        self.width = width
        self.num_queries = num_queries
        self.vocab_size = vocab_size
        self.embeddings = QFormerEmbeddings(vocab_size, width, num_queries, max_positions, dropout, eps)
        hidden = int(width * mlp_ratio)
        self.layers = nn.ModuleList()
        for index in range(depth):
            context = vision_width if index % cross_attention_every == 0 else None
            self.layers.append(
                QFormerLayer(width, num_heads, hidden, context, dropout, norm, residual_gain, eps)
            )
        self.query_norm = nn.LayerNorm(width, eps=eps) if norm == 'pre' else nn.Identity()
        self.text_norm = nn.LayerNorm(width, eps=eps) if norm == 'pre' else nn.Identity()
        self.causal_head = CausalHead(width, vocab_size, eps)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=init_std)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.embeddings.queries, std=init_std if query_init_std is None else query_init_std)

    def keep_only(self, text: bool) -> None:
        """Removes what ``encode_video``, or ``fuse`` with ``text``, does not use: DDP would wait for it."""
        self.causal_head = None
        self.text_norm = nn.Identity()
        if not text:
            self.embeddings.words = self.embeddings.positions = None
        for layer in self.layers[-1:] if text else self.layers:
            layer.text_ffn = layer.text_residual = None

    def _per_layer(self, video: VideoKeysValues) -> list[KeysValues | None]:
        """Gives each layer its keys and values, None to a layer without cross-attention."""
        given = iter(video)
        return [None if layer.cross_attention is None else next(given) for layer in self.layers]

    def project_video(self, tokens: Tensor) -> VideoKeysValues:
        """Makes the cross-attention keys and values of video tokens (V, M, C), once for all passes and texts.

        There is one (keys, values) a cross-attention layer, each of shape (V, H, M, d).
        """
        return tuple(
            layer.cross_attention.project(tokens)
            for layer in self.layers
            if layer.cross_attention is not None
        )

    def encode_video(self, video: VideoKeysValues) -> tuple[Tensor, VideoKeysValues]:
        """Lets the queries read V videos of ``project_video``.

        Returned are the queries (V, Q, D), and for ``decode`` the self-attention keys and values of all
        layers, each (V, H, Q, d).
        """
        x = self.embeddings.embed_queries(video[0][0].shape[0])
        cache = []
        for layer, keys_values in zip(self.layers, self._per_layer(video)):
            x, own = layer.forward_queries(x, keys_values)
            cache.append(own)
        return self.query_norm(x), tuple(cache)

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encodes texts, ids (K, L), by themselves as states (K, L, D); the first is that of ``[CLS]``.

        The mask (K, L) is False where padded; each row needs a True.
        """
        x = self.embeddings.embed_text(ids)
        readable = mask.bool()[:, None, None, :]
        for layer in self.layers:
            x, _ = layer.forward_text(x, readable)
        return self.text_norm(x)

    def fuse(self, video: VideoKeysValues, ids: Tensor, mask: Tensor) -> Tensor:
        """Lets the queries read V videos of ``project_video`` together with k texts each, (V, k, L).

        The mask is False where padded; a row may be all False: no text is read then. Returned are the queries
        that have read both, (V, k, Q, D).
        """
        videos = video[0][0].shape[0]
        if ids.dim() != 3 or ids.shape[0] != videos:
            raise ValueError(
                f'ids must be (videos, texts a video, tokens) with {videos} videos, got {tuple(ids.shape)}; '
                'pick the videos with select_videos first.'
            )
        # V*k rows of [queries, text]; only cross-attention knows which rows share a video (QFormerLayer)
        rows, count = ids.shape[0] * ids.shape[1], self.num_queries
        text = self.embeddings.embed_text(ids.flatten(0, 1))
        queries = self.embeddings.embed_queries(rows)
        # Queries are always readable, so a row whose text is all padding has something to attend to.
        visible = mask.new_ones(rows, count, dtype=torch.bool)
        readable = torch.cat([visible, mask.bool().flatten(0, 1)], dim=1)[:, None, None, :]
        # Skipping padding pays when ranking; finding it waits for the device, which training should not.
        real = None if torch.is_grad_enabled() else mask.flatten().nonzero()[:, 0]
        if real is not None and len(real) == mask.numel():
            real = None  # no padding: nothing to pick out and put back
        last = len(self.layers) - 1  # its text output would be read by nobody
        for index, (layer, keys_values) in enumerate(zip(self.layers, self._per_layer(video))):
            queries, text = layer.forward_joint(queries, text, readable, keys_values, index < last, real)
        return self.query_norm(queries).unflatten(0, ids.shape[:2])

    def decode(self, cache: VideoKeysValues, ids: Tensor, mask: Tensor) -> Tensor:
        """Predicts each next token of texts (V, L) from the queries and the tokens before it.

        ``cache`` is that of ``encode_video``: the queries are not computed again. The first id is ``[DEC]``,
        the mask is False where padded, the logits (V, L, vocab_size) at position i are for token i + 1.
        """
        length, count = ids.shape[1], self.num_queries
        past = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        own = past & mask.bool()[:, None, None, :]
        # The queries' keys and values stand in front: every token reads all of them, they never read text.
        readable = torch.cat([own.new_ones(*own.shape[:3], count), own], dim=-1)
        x = self.embeddings.embed_text(ids)
        for layer, keys_values in zip(self.layers, cache):
            x, _ = layer.forward_text(x, readable, keys_values)
        return self.causal_head(self.text_norm(x), self.embeddings.words.weight)

    def decode_next(self, cache: VideoKeysValues, ids: Tensor) -> tuple[Tensor, VideoKeysValues]:
        """Predicts the token behind ``ids`` (V,), the last of V texts: logits (V, vocab_size), as ``decode``.

        ``cache`` is that of ``encode_video`` before ``[DEC]``, then the one returned, which holds the text so
        far; rows are picked with ``select_videos``.
        """
        x = self.embeddings.embed_text(ids[:, None], before=cache[0][0].shape[2] - self.num_queries)
        grown = []
        for layer, past in zip(self.layers, cache):
            x, keys_values = layer.forward_text(x, None, past)
            grown.append(keys_values)
        return self.causal_head(self.text_norm(x), self.embeddings.words.weight)[:, 0], tuple(grown)
