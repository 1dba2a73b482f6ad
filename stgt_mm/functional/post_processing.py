"""Post-processing of retrieval scores: dual softmax and dynamic inverted softmax (QB-Norm).

Both take from each item what all queries together give it: an item that every query likes is worth less to
each. That is one number an item, its log mass; with it a row of scores is processed by itself.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from stgt_mm.functional.ranking import row_chunks


def log_mass(scores: Tensor, scale: float) -> Tensor:
    """Sums what all queries give an item: log of the sum over queries of exp(scale * score).

    Args:
        scores: Shape (n, N): n queries, N items; any floating type. Computed in chunks.
        scale: Factor before the exponential.

    Returns:
        float64, shape (N,).
    """
    parts = [(scale * scores[start:stop].double()).logsumexp(0) for start, stop in row_chunks(*scores.shape)]
    return total_log_mass(parts)


def total_log_mass(parts: Iterable[Tensor]) -> Tensor:
    """Joins the log masses of parts of the queries.

    Args:
        parts: At least one, each of shape (N,), in an order that does not hang on who computed them.

    Returns:
        float64, shape (N,).
    """
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
    """Finds the items that are among the k best of at least one query; a tie with the k-th counts.

    Args:
        scores: Shape (n, N), n at least 1.
        k: Places that count; more than N means all.

    Returns:
        bool, shape (N,).
    """
    threshold = scores.topk(min(k, scores.shape[1]), dim=1).values[:, -1:]
    return (scores >= threshold).any(0)
