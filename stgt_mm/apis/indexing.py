"""Bringing an index up to date with files: what is new or changed is encoded, what is gone goes."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from stgt_mm.progress import ProgressLine, format_duration
from stgt_mm.search import Moment, VideoIndex
from stgt_mm.search.fingerprint import source_stamp
from stgt_mm.search.sources import Videos
from stgt_mm.search.windows import Windows

Encode = Callable[[Sequence[str]], Iterable[tuple[int, list[Moment] | str]]]

_WRITE_BYTES = 64 * 2**20  # what may wait to be written at once, and how long
_WRITE_SECONDS = 30.0


@dataclass
class IndexReport:
    """What an update of an index has done, in files."""

    encoded: int = 0
    unchanged: int = 0
    removed: int = 0
    moments: int = 0  # of the files that were encoded
    seconds: float = 0.0
    broken: dict[str, str] = field(default_factory=dict)  # why, by path; they are not in the index

    def __str__(self) -> str:
        lines = [
            f'{self.encoded} files encoded ({self.moments} moments) in {format_duration(self.seconds)}, '
            f'{self.unchanged} unchanged, {self.removed} removed'
        ]
        if self.broken:
            lines.append(f'{len(self.broken)} files cannot be read and are not in the index:')
            lines += [f'  {path}: {why}' for path, why in sorted(self.broken.items())]
        return '\n'.join(lines)


class _Writer:
    """Gathers files, so that an index is not written file by file."""

    def __init__(self, store: VideoIndex) -> None:
        self.store = store
        self.waiting: list[Moment] = []
        self.bytes, self.written = 0, time.monotonic()

    def put(self, moments: Sequence[Moment]) -> None:
        self.waiting += moments
        tensors = [own for moment in moments for own in (moment.queries, moment.tokens) if own is not None]
        self.bytes += sum(own.nbytes for own in tensors)
        if self.bytes > _WRITE_BYTES or time.monotonic() - self.written > _WRITE_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.store.write(self.waiting)
        self.waiting, self.bytes, self.written = [], 0, time.monotonic()


def update_index(
    store: VideoIndex, videos: Videos, windows: Windows | None, encode: Encode, only: bool
) -> IndexReport:
    """Puts videos into an index; with ``only`` all others are taken out.

    ``encode`` yields the number of each file, when it is done, with its moments or why it cannot be read.
    What was encoded before an interruption is in the index.
    """
    began = time.monotonic()
    report = IndexReport()
    known, stamps = store.stamps(), {}
    for path, columns in videos.items():
        try:
            path.encode()
            stamps[path] = source_stamp(path, columns, windows)
        except UnicodeEncodeError:
            name = path.encode(errors='backslashreplace').decode()
            report.broken[name] = 'its name is not UTF-8: rename it'
        except OSError as error:
            report.broken[path] = error.strerror or str(error)
    todo = [path for path, stamp in stamps.items() if known.get(path) != stamp]
    report.unchanged = len(stamps) - len(todo)
    writer = _Writer(store)
    try:
        with ProgressLine('indexing, files', len(todo)) as line:
            for number, found in encode(todo) if todo else ():
                path = todo[number]
                if isinstance(found, str):
                    report.broken[path] = found
                else:
                    for moment in found:
                        moment.stamp, moment.columns = stamps[path], videos[path]
                    writer.put(found)
                    report.encoded += 1
                    report.moments += len(found)
                line.advance(note=f'{len(report.broken)} cannot be read' if report.broken else '')
    finally:
        writer.flush()
    gone = [path for path in known if path in report.broken or (only and path not in videos)]
    store.remove(gone)
    report.removed = len(gone)
    store.tidy()
    report.seconds = time.monotonic() - began
    return report
