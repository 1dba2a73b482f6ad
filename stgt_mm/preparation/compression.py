"""Videos made small and quick to read: the same frames at the same times, with a keyframe every few."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from stgt_mm.datasets.readers import PyAVReader, VideoReadError
from stgt_mm.datasets.readers.pyav import to_arrays
from stgt_mm.datasets.readers.shards import file_stamp
from stgt_mm.datasets.readers.writer import open_clip
from stgt_mm.datasets.records import write_records
from stgt_mm.errors import UserError
from stgt_mm.io.whole_file import remove_partial_files
from stgt_mm.jobs.engine import Engine, map_records
from stgt_mm.jobs.journal import Finding, Journal
from stgt_mm.jobs.timed_pool import Outcome
from stgt_mm.preparation.annotations.video_files import list_videos

# what is wrong with the disk and not with a video
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


@dataclass(frozen=True)
class Compression:
    """How a video is made small: H.264 in MP4 without sound and without B frames, never enlarged."""

    short_side: int = 288
    gop: int = 16
    crf: int = 23
    preset: str = 'veryfast'

    def __post_init__(self) -> None:
        for option, least in (('short_side', 16), ('gop', 1), ('crf', 0)):
            if getattr(self, option) < least:
                name = option.replace('_', '-')
                raise ValueError(f'--{name} {getattr(self, option)}: at least {least}.')

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width, even, of a video of this height and width."""
        scale = min(1.0, self.short_side / min(height, width))
        return max(2, round(height * scale) // 2 * 2), max(2, round(width * scale) // 2 * 2)


def compress_file(video: str, how: Compression, root: Path, out: Path) -> dict[str, Any]:
    """Compresses ``root / video`` to ``out / video`` and returns ``frames``, and ``why`` if it is damaged.

    Of a damaged file the frames before the damage are written, those that training would read; 0 frames: no
    file. A fault of the disk is raised.
    """
    try:
        with PyAVReader(root / video) as reader:
            return _encode(reader, how, out / video)
    except VideoReadError as error:
        return {'frames': 0, 'why': error.why}
    except (av.FFmpegError, ValueError) as error:
        if getattr(error, 'errno', None) in _DISK:
            raise
        return {'frames': 0, 'why': f'it cannot be encoded ({error})'}


def _encode(reader: PyAVReader, how: Compression, path: Path) -> dict[str, Any]:
    seen: list[tuple[int, Fraction]] = []

    def watched() -> Iterator[av.VideoFrame]:
        for frame in reader.decode():
            seen.append((frame.pts, frame.time_base))
            yield frame

    with ExitStack() as stack:
        add, found = None, {'frames': 0}
        try:
            for image in to_arrays(watched(), how.size):
                if add is None:
                    clock = seen[0][1] if reader.facts.ascends else None
                    rest = {'gop': how.gop, 'crf': how.crf, 'preset': how.preset, 'container_format': 'mp4'}
                    clip = open_clip(path, image.shape[:2], reader.facts.rate or 25, clock=clock, **rest)
                    add = stack.enter_context(clip)
                add(np.ascontiguousarray(image), seen[-1][0] - seen[0][0] if clock else None)
                found['frames'] += 1
        except VideoReadError as error:
            found['why'] = error.why
        return found


def compress(
    root: Path,
    out: Path,
    how: Compression,
    report_dir: Path,
    engine: Engine,
    restart: bool = False,
) -> list[Finding]:
    """Compresses all videos below a folder, but for those done in a run before; what became of each, by name.

    They keep their paths and names, so that annotation files stay as they are. Journal and ``report.jsonl``
    are kept in ``report_dir``.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"no folder '{root}': give that of the videos.")
    if root.resolve() == out.resolve() or root.resolve() in out.resolve().parents:
        raise ValueError(f"'{out}' is in the folder of the videos, '{root}': choose another folder.")
    stamps = {video: file_stamp(root / video) or (0, 0) for video in list_videos(root)}
    pool = engine.pool(partial(compress_file, how=how, root=root.absolute(), out=out.absolute()))
    settings = {'root': str(root.resolve()), 'out': str(out.resolve()), **asdict(how)}
    with Journal(report_dir / 'journal.sqlite', settings, restart) as journal:
        for video in stamps:
            known = journal.known.get(video)
            if known and known.frames and not (out / video).is_file():
                del journal.known[video]
        folders = {
            (out / video).parent
            for video, stamp in stamps.items()
            if not journal.is_current(video, stamp, engine.time_limit)
        }
        try:
            _remove_partial(folders)  # what a kill has left
            map_records(pool, stamps, journal, partial(_finding, time_limit=engine.time_limit), 'videos')
        finally:
            _remove_partial(folders)
        findings = [journal.known[video] for video in stamps]
    rows = [{key: asdict(found)[key] for key in ('video', 'outcome', 'frames', 'why')} for found in findings]
    write_records(rows, report_dir / 'report.jsonl')
    return findings


def _remove_partial(folders: Iterable[Path]) -> None:
    for folder in folders:
        remove_partial_files(folder)


def _finding(video: str, stamp: tuple[int, int], outcome: Outcome, time_limit: float) -> Finding:
    if outcome.kind == 'failed':
        raise UserError(f'{video}: {outcome.value}. The same command goes on where it was.')
    if outcome.kind == 'done':
        kind = 'damaged' if 'why' in outcome.value else 'ok'
        return Finding(video, *stamp, kind, **outcome.value)
    limit = time_limit if outcome.kind == 'timed_out' else None
    return Finding(video, *stamp, outcome.kind, why=outcome.value, time_limit=limit)
