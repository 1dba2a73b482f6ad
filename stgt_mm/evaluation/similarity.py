"""Similarity over all pairs of an encoded split.

As in :mod:`~stgt_mm.evaluation.encode`, what is computed together depends only on the data, never on the
number of processes.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from stgt_mm.evaluation.shares import device_of, merge_disjoint, own_blocks, refuse_nan

VIDEO_BLOCK = 64
TEXT_BLOCK = 512


def similarity_matrix(model: nn.Module, queries: Tensor, texts: Tensor) -> Tensor:
    """Cosines of query embeddings (V, Q, P) and texts (K, P): (V, K), float32 on the CPU of every process."""
    result = torch.zeros(len(queries), len(texts))
    for start, block in similarity_blocks(model, queries, texts):
        result[:, start : start + block.shape[1]] = block
    return refuse_nan(merge_disjoint(result), 'similarities')


def similarity_blocks(
    model: nn.Module, queries: Tensor, texts: Tensor, size: int = TEXT_BLOCK
) -> Iterator[tuple[int, Tensor]]:
    """Yields this process's blocks of that many texts: number of the first, cosines (V, b) on the CPU."""
    device = device_of(model)
    for start, stop in own_blocks(len(texts), size):
        block = texts[start:stop].to(device)
        parts = [
            model.similarity(part.to(device), block).float().cpu() for part in queries.split(VIDEO_BLOCK)
        ]
        yield start, torch.cat(parts)
