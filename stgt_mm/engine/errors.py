"""Errors of the engine that a user can act on; the tools print them without a traceback."""

from stgt_mm.errors import UserError


class NonFiniteLossError(UserError):
    """The objective or its gradient stopped being a number; nothing was updated or saved after it."""


class CheckpointError(ValueError):
    """A checkpoint cannot be read, or does not fit the model or the configuration."""


class CheckpointSpaceError(OSError):
    """The disk is full; what was whole before is untouched."""
