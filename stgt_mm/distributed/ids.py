"""Ids that mean the same in every process: strings as stable 64-bit numbers."""

from collections.abc import Sequence
from hashlib import blake2b

import torch
from torch import Tensor

from stgt_mm.distributed.gather import gather_no_grad


def stable_ids(names: Sequence[str] | Tensor, device: torch.device | str | None = None) -> Tensor:
    """Turns strings into int64 numbers that are equal in every process and every run.

    Python's own ``hash`` is salted per process, so two ranks would not recognise the same video.
    Two different strings collide with probability 2^-64. A tensor of int64 ids (B,) is only moved.
    """
    if isinstance(names, Tensor):
        if names.dtype != torch.long or names.dim() != 1:
            raise ValueError(
                f'ids must be int64 of shape (B,), got {names.dtype} of shape {tuple(names.shape)}.'
            )
        return names.to(device) if device is not None else names
    digests = [blake2b(str(name).encode(), digest_size=8).digest() for name in names]
    return torch.tensor(
        [int.from_bytes(digest, 'little', signed=True) for digest in digests], dtype=torch.long, device=device
    )


def gather_ids(
    names: Sequence[str] | Tensor,
    device: torch.device | str | None = None,
    counts: Sequence[int] | None = None,
) -> tuple[Tensor, Tensor]:
    """Returns :func:`stable_ids` of this rank, (B,), and of all ranks, (G,), on the group's device."""
    ids = stable_ids(names, device)
    return ids, gather_no_grad(ids, counts)
