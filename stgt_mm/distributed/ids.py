"""Ids that mean the same in every process: strings as stable 64-bit numbers."""

from collections.abc import Sequence
from hashlib import blake2b

import torch
from torch import Tensor

from stgt_mm.distributed.gather import gather_no_grad


def stable_ids(names: Sequence[str] | Tensor, device: torch.device | str | None = None) -> Tensor:
    """Turns strings into int64 numbers that are equal in every process and every run.

    Python's own ``hash`` is salted per process, so two ranks would not recognise the same video.

    Args:
        names: Strings, or int64 ids that are stable already and only moved to the device.
        device: Where the ids go.

    Returns:
        int64, shape (B,). Two different strings collide with a chance of 2^-64.

    Raises:
        ValueError: If a tensor of ids is not int64 of shape (B,).
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
    """Returns the ids of this rank and of all ranks.

    Args:
        names: Strings or int64 ids, one a row of this rank.
        device: Where the ids go and the process group communicates.
        counts: Output of :func:`stgt_mm.distributed.row_counts`; None asks for it.

    Returns:
        Local ids, int64 (B,), and gathered ids, int64 (G,).
    """
    ids = stable_ids(names, device)
    return ids, gather_no_grad(ids, counts)
