"""One display of progress for every long piece of work.

Ours, because tqdm and rich draw bars for a terminal: in a log file they leave nothing, or a line a step.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar('Item')
_SURE_AFTER_SECONDS = 2.0  # earlier, the time left would be a guess from a cold start


def format_duration(seconds: float) -> str:
    """Writes seconds as ``'8 s'``, ``'4 min 10 s'`` or ``'3 h 05 min'``."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f'{seconds} s'
    if seconds < 3600:
        return f'{seconds // 60} min {seconds % 60:02d} s'
    return f'{seconds // 3600} h {seconds % 3600 // 60:02d} min'


class ProgressLine:
    """A line on stderr that moves twice a second on a terminal; elsewhere a new one comes now and then.

    Args:
        what: Name of the work, such as ``'encoding videos'``.
        total: Steps in all, if known; the time left is said once it is known well enough.
        every: Seconds between two lines that do not go to a terminal; work that is done sooner gives none.
        start: Steps that an earlier run has done.

    Example:
        >>> with ProgressLine('adding', total=3) as line:
        ...     for _ in range(3):
        ...         line.advance()
    """

    def __init__(self, what: str, total: int | None = None, every: float = 10.0, start: int = 0):
        self.what = what
        self.total = total
        self.done = start
        self._first: tuple[float, int] | None = None  # when the first step was done: starting up is no step
        self._terminal = sys.stderr.isatty()
        self._period = 0.5 if self._terminal else every
        self._started = self._printed = time.monotonic()
        self._moved = False

    def advance(self, steps: int = 1, note: str | Callable[[], str] = '') -> None:
        """Counts steps, and prints the line if it is time; ``note`` is put at its end, called only then."""
        self.done += steps
        now = time.monotonic()
        self._first = self._first or (now, self.done)
        if now - self._printed >= self._period:
            self._printed, self._moved = now, True
            self._print(self._text(now, note if isinstance(note, str) else note()))

    def close(self) -> None:
        """Ends the line; on a terminal it then says how long the work took."""
        if self._terminal and self._moved:
            took = format_duration(time.monotonic() - self._started)
            self._print(f'{self.what}: {self.done} in {took}')
            sys.stderr.write('\n')

    def __enter__(self) -> 'ProgressLine':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _text(self, now: float, note: str) -> str:
        parts = [f'{self.what}: {self.done}' + (f'/{self.total}' if self.total else '')]
        then, before = self._first
        if self.total and self.done > before and now - then >= _SURE_AFTER_SECONDS:
            left = (now - then) / (self.done - before) * (self.total - self.done)
            parts.append(f'{format_duration(left)} left')
        return ', '.join(parts + [note] * bool(note))

    def _print(self, text: str) -> None:
        sys.stderr.write(f'\r\x1b[K{text}' if self._terminal else f'{text}\n')
        sys.stderr.flush()


def track(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Goes through ``items`` and shows how far it is; ``total`` where ``items`` has no length."""
    with ProgressLine(what, len(items) if total is None and hasattr(items, '__len__') else total) as line:
        for item in items:
            yield item
            line.advance()


def track_on_main(items: Iterable[Item], what: str, total: int) -> Iterable[Item]:
    """Goes through ``items``, each process its own; the main one shows how far it is."""
    from mmengine.dist import is_main_process  # imports torch, which not all that shows progress needs

    return track(items, what, total) if is_main_process() else items
