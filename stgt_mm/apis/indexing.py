"""Bringing an index up to date with files: what is new or changed is encoded, what is gone goes."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from stgt_mm.progress import ProgressLine, format_duration
from stgt_mm.search import Moment, VideoIndex
from stgt_mm.search.fingerprint import file_stamp
from stgt_mm.search.sources import Source, list_videos

Encode = Callable[[Sequence[str]], Iterable[tuple[int, list[Moment] | str]]]

_WRITE_BYTES = 64 * 2**20  # what waits to be written together
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
    """Gathers the moments of whole files, so that an index is not written file by file."""

    def __init__(self, store: VideoIndex) -> None:
        self.store = store
        self._waiting: list[Moment] = []
        self._bytes, self._written = 0, time.monotonic()

    def put(self, moments: Sequence[Moment]) -> None:
        self._waiting += moments
        tensors = [own for moment in moments for own in (moment.queries, moment.tokens) if own is not None]
        self._bytes += sum(own.numel() * own.element_size() for own in tensors)
        if self._bytes > _WRITE_BYTES or time.monotonic() - self._written > _WRITE_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self.store.write(self._waiting)
        self._waiting, self._bytes, self._written = [], 0, time.monotonic()


def update_index(
    store: VideoIndex,
    source: Source,
    video_root: str | os.PathLike | None,
    windows: tuple[float, float] | None,
    encode: Encode,
    only: bool,
) -> IndexReport:
    """Puts the videos of a source into an index; with ``only`` all others are taken out.

    ``encode`` yields the number of each file, when it is done, with its moments or why it cannot be read.
    What was encoded before an interruption is in the index.
    """
    began = time.monotonic()
    wanted = list_videos(source, video_root)
    known = store.files()
    report = IndexReport()
    stamps: dict[str, str] = {}
    for path in wanted:
        try:
            stamps[path] = file_stamp(path, windows)
        except OSError as error:
            report.broken[path] = error.strerror or str(error)
    unchanged = {path for path, stamp in stamps.items() if path in known and known[path].stamp == stamp}
    todo = [path for path in stamps if path not in unchanged]
    report.unchanged = len(unchanged)
    writer = _Writer(store)
    try:
        renamed = [path for path in unchanged if known[path].columns != wanted[path]]
        if renamed:
            moments = store.read(renamed)
            for moment in moments:
                moment.columns = wanted[moment.path]
            writer.put(moments)
        with ProgressLine('indexing, files', len(todo)) as line:
            for number, found in encode(todo) if todo else ():
                path = todo[number]
                if isinstance(found, str):
                    report.broken[path] = found
                else:
                    for moment in found:
                        moment.path, moment.stamp, moment.columns = path, stamps[path], wanted[path]
                    writer.put(found)
                    report.encoded += 1
                    report.moments += len(found)
                line.advance(note=f'{len(report.broken)} cannot be read' if report.broken else '')
    finally:
        writer.flush()
    gone = [path for path in known if path in report.broken or (only and path not in wanted)]
    store.remove(gone)
    report.removed = len(gone)
    store.tidy()
    report.seconds = time.monotonic() - began
    return report
