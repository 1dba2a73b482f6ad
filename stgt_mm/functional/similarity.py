"""Cosine similarity between clips, each a set of query embeddings, and texts, each one embedding."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stgt_mm.functional.precision import without_autocast


def full_precision(x: Tensor) -> Tensor:
    """Returns ``x`` in float32 if it is in half precision, else unchanged (float64 stays float64).

    A cosine in bfloat16 has steps of 0.004; divided by a temperature of 0.02 that is 0.2 in a logit.
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def max_query_similarity(queries: Tensor, texts: Tensor) -> Tensor:
    """Cosine of each clip with each text: that of the clip's best query.

    Computed in float32 or wider, also under autocast.

    Args:
        queries: L2-normalised query embeddings, shape (V, Q, P).
        texts: L2-normalised text embeddings, shape (K, P).

    Returns:
        Cosines, shape (V, K). Not divided by a temperature.

    Raises:
        ValueError: If the shapes do not fit.

    Source: BLIP-2 section 3.1 (image-text contrastive learning); S(v, t) of STGT, contrastive term of Eq. 21.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.similarity import max_query_similarity
        >>> queries = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])  # one clip of two queries
        >>> max_query_similarity(queries, torch.tensor([[0.6, 0.8], [-1.0, 0.0]]))
        tensor([[0.8000, 0.0000]])
    """
    if queries.dim() != 3 or texts.dim() != 2 or queries.size(-1) != texts.size(-1):
        raise ValueError(
            f'queries must be (V, Q, P) and texts (K, P) of the same width P, got {tuple(queries.shape)} and '
            f'{tuple(texts.shape)}.'
        )
    with without_autocast(queries.device):
        cosines = full_precision(queries).flatten(0, 1) @ full_precision(texts).T
    return cosines.unflatten(0, queries.shape[:2]).amax(dim=1)


def mean_query_embedding(queries: Tensor) -> Tensor:
    """One embedding a clip (V, P): the normalised mean of its query embeddings (V, Q, P).

    Source: the clips of S_vv in STGT Eq. 18; the mean over queries is the release's.
    """
    return F.normalize(full_precision(queries).mean(dim=1), dim=-1)


def cosine_matrix(rows: Tensor, columns: Tensor) -> Tensor:
    """Cosines (B, G) of normalised embeddings (B, P) and (G, P), float32 or wider also under autocast."""
    with without_autocast(rows.device):
        return full_precision(rows) @ full_precision(columns).T
