"""The log on the console: lines, not pages."""

import logging
from typing import TypeVar

MAX_LINES = 12
AnyLogger = TypeVar('AnyLogger', bound=logging.Logger)


def _is_short(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.getMessage().count('\n') < MAX_LINES


def short_console(logger: AnyLogger) -> AnyLogger:
    """Keeps what is longer than :data:`MAX_LINES` and no warning out of the console; files have it."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(_is_short)  # a second time adds nothing
    return logger
