"""Spatial grounding: how well the noun phrases of a text are found among the regions of a video."""

import torch
from torch import Tensor

from stgt_mm.functional.precision import without_autocast
from stgt_mm.functional.similarity import full_precision


def grounding_similarity(nouns: Tensor, noun_mask: Tensor, groups: Tensor, temperature: Tensor) -> Tensor:
    """Similarity of texts, each a few noun phrases, with videos, each a set of regions.

    A phrase takes its regions by a softmax over them and has the mean of their cosines; a text has the mean
    of its phrases. Regions that no phrase wants cost nothing.

    Args:
        nouns: L2-normalised embeddings of K phrases a text, shape (Bt, K, C).
        noun_mask: 1 where there is a phrase, shape (Bt, K). A text without any has similarity 0.
        groups: L2-normalised embeddings of M regions a video, shape (Bv, M, C).
        temperature: Divisor of the cosines in the softmax, 0-d.

    Returns:
        Similarities in [-1, 1], float32 or wider, shape (Bt, Bv).

    Source: S-ViLM (arXiv 2303.16341), spatial grounding; the form is OpenSeg's (arXiv 2112.12143).

    Example:
        >>> import torch
        >>> from stgt_mm.functional.grounding import grounding_similarity
        >>> groups = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
        >>> nouns = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])  # one phrase, and one that is not there
        >>> grounding_similarity(nouns, torch.tensor([[1, 0]]), groups, torch.tensor(0.1))
        tensor([[1.0000]])
    """
    with without_autocast(nouns.device):
        cosines = torch.einsum('tkc,vmc->tvkm', full_precision(nouns), full_precision(groups))
        found = ((cosines / temperature).softmax(dim=-1) * cosines).sum(dim=-1)  # [Bt, Bv, K]
        mask = noun_mask.to(found.dtype)[:, None]
        return (found * mask).sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)
