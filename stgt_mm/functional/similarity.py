"""Cosine similarity between clips, each a set of query embeddings, and texts, each one embedding."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stgt_mm.functional.precision import without_autocast


def full_precision(x: Tensor) -> Tensor:
    """Returns ``x`` in float32 if it is in half precision, else unchanged (float64 stays float64).

    A cosine in bfloat16 has steps of 0.004; divided by a temperature of 0.02 that is 0.2 in a logit.

    Args:
        x: Any floating-point tensor.

    Returns:
        The tensor, float32 or wider.
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
    """One embedding a clip: the normalised mean of its query embeddings.

    Args:
        queries: L2-normalised query embeddings, shape (V, Q, P).

    Returns:
        L2-normalised clip embeddings, shape (V, P), float32 or wider.

    Source: the clips of S_vv in STGT Eq. 18; taking the mean over queries is the release's choice.
    """
    return F.normalize(full_precision(queries).mean(dim=1), dim=-1)


def cosine_matrix(rows: Tensor, columns: Tensor) -> Tensor:
    """Cosine of each row embedding with each column embedding.

    Args:
        rows: L2-normalised embeddings, shape (B, P).
        columns: L2-normalised embeddings, shape (G, P).

    Returns:
        Cosines, shape (B, G), float32 or wider also under autocast.
    """
    with without_autocast(rows.device):
        return full_precision(rows) @ full_precision(columns).T
