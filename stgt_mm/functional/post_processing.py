"""Post-processing of retrieval scores: dual softmax and dynamic inverted softmax (QB-Norm).

Both take from each item what all queries together give it: an item that every query likes is worth less to
each. That is one number an item, its log mass; with it a row of scores is processed by itself.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from stgt_mm.functional.ranking import row_chunks


def log_mass(scores: Tensor, scale: float) -> Tensor:
    """Sums what all n queries give each of N items: log(sum of exp(scale * score)), float64, shape (N,)."""
    parts = [(scale * scores[start:stop].double()).logsumexp(0) for start, stop in row_chunks(*scores.shape)]
    return total_log_mass(parts)


def total_log_mass(parts: Iterable[Tensor]) -> Tensor:
    """Joins the log masses (N,) of parts of the queries, in an order that is the same for any processes."""
    return torch.stack([part.double() for part in parts]).logsumexp(0)


def dual_softmax(scores: Tensor, mass: Tensor, temperature: float = 100.0) -> Tensor:
    """Multiplies scores by their softmax over the queries: S * softmax(temperature * S, over queries).

    Source: CAMoE (arXiv 2109.04290), section 3.3, as CLIP-ViP (arXiv 2209.06430) applies it to a test set.

    Args:
        scores: Rows of the score matrix, shape (n, N).
        mass: ``log_mass`` of the whole matrix at the scale ``temperature``, shape (N,).
        temperature: Factor on the scores in the softmax, > 0.

    Returns:
        float64, shape (n, N).

    Example:
        >>> import torch
        >>> from stgt_mm.functional.post_processing import dual_softmax, log_mass
        >>> scores = torch.tensor([[0.9, 0.8], [0.85, 0.8]])  # both queries like the first item best
        >>> dual_softmax(scores, log_mass(scores, 100.0)).argmax(1)
        tensor([0, 1])
    """
    scores = scores.double()
    return scores * (temperature * scores - mass).exp()


def inverted_softmax(scores: Tensor, mass: Tensor, activated: Tensor, beta: float = 20.0) -> Tensor:
    """Normalises by a bank of other queries the rows whose best item is a hub of that bank.

    A row whose best item is activated becomes log(exp(beta * S) / sum over the bank of exp(beta * S_bank));
    the others stay as they are. Rows are on two scales: only items of one row compare. Of items that are best
    together the first decides.

    Source: QB-Norm (arXiv 2112.12777), section 3.3, dynamic inverted softmax; the logarithm keeps the order
    and does not overflow.

    Args:
        scores: Rows of the score matrix, shape (n, N).
        mass: ``log_mass`` of the bank's scores against the same items at the scale ``beta``, shape (N,).
        activated: True at items that are among the best of a query of the bank, shape (N,).
        beta: Inverse temperature, > 0.

    Returns:
        float64, shape (n, N).
    """
    scores = scores.double()
    on = activated[scores.argmax(1)]
    return torch.where(on[:, None], beta * scores - mass, scores)


def hubs(scores: Tensor, k: int = 1) -> Tensor:
    """Marks the items (N,) among the k best of at least one query of (n, N); a tie with the k-th counts."""
    threshold = scores.topk(min(k, scores.shape[1]), dim=1).values[:, -1:]
    return (scores >= threshold).any(0)
