"""Numbers that must not be rounded: leaving autocast, on any device."""

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device: torch.device) -> AbstractContextManager[None]:
    """Makes a context in which operations keep the type of their inputs.

    Args:
        device: Where they run; the meta device and some others have no autocast to switch off.

    Returns:
        The context.

    Example:
        >>> import torch
        >>> from stgt_mm.functional.precision import without_autocast
        >>> with torch.autocast('cpu', torch.bfloat16), without_autocast(torch.device('cpu')):
        ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
        torch.float32
    """
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
