"""Numbers that must not be rounded: leaving autocast, on any device."""

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device: torch.device) -> AbstractContextManager[None]:
    """Makes a context in which operations keep the type of their inputs.

    Args:
        device: Where the operations run. Some devices have no autocast, the meta device among them, on which
            a model is counted: nothing is to be switched off there.

    Returns:
        The context.
    """
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
