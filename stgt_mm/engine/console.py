"""What of the log is shown on the console: lines, not pages."""

import logging
from typing import TypeVar

MAX_LINES = 12
AnyLogger = TypeVar('AnyLogger', bound=logging.Logger)


class ShortRecords(logging.Filter):
    """Passes records of at most :data:`MAX_LINES` lines, and warnings of any length."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Says whether a record is shown."""
        return record.levelno >= logging.WARNING or record.getMessage().count('\n') < MAX_LINES


def short_console(logger: AnyLogger) -> AnyLogger:
    """Keeps the dumps of environment, config and hooks in the log file alone.

    Args:
        logger: Changed in place: its console handlers get a filter, its files do not.

    Returns:
        The logger.
    """
    for handler in logger.handlers:
        is_console = isinstance(handler, logging.StreamHandler) and not isinstance(
            handler, logging.FileHandler
        )
        if is_console and not any(isinstance(old, ShortRecords) for old in handler.filters):
            handler.addFilter(ShortRecords())
    return logger
