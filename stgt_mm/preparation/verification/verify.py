"""All files of an annotation file: looked at in a pool, judged, reported, filtered."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from stgt_mm.datasets.readers import reader_order
from stgt_mm.datasets.records import AnnotationError, MissingVideosError, read_jsonl
from stgt_mm.preparation.verification.inspection import Inspection, inspect_file
from stgt_mm.preparation.verification.journal import Finding, Journal
from stgt_mm.preparation.verification.judgement import Criteria, judge
from stgt_mm.preparation.verification.report import Verification
from stgt_mm.preparation.verification.timed_pool import Outcome, TimedPool
from stgt_mm.progress import track


def verify(
    ann_file: str | Path,
    video_root: str | Path,
    folder: str | Path,
    how: Inspection,
    criteria: Criteria,
    jobs: int = 1,
    time_limit: float = 120.0,
    restart: bool = False,
) -> Verification:
    """Looks at every file that an annotation file names, but for those known from a run before.

    Args:
        ann_file: JSON lines with a ``video`` each.
        video_root: Folder that the paths are relative to.
        folder: Where the journal is kept.
        how: What is looked at.
        criteria: What is too short.
        jobs: Processes.
        time_limit: Seconds for a file.
        restart: Look again at files that are known from a run before.

    Returns:
        The findings and what is wrong.

    Raises:
        FileNotFoundError: If there is no annotation file or no video root.
        AnnotationError: If a line is broken or names no video.
        MissingVideosError: If all files are missing.
        JournalError: If the journal was made with other options, or another process is writing it.
        ValueError: If a reader is unknown or a number out of range.
    """
    reader_order(how.reader)
    root = Path(video_root)
    pool = TimedPool(partial(_inspect, root=root, how=how), jobs, time_limit)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder '{root}' (working directory {Path.cwd()}).")
    lines = _count_lines(ann_file)
    stamps = _stamp_files(lines, root)
    settings = {'video_root': str(root.resolve()), **asdict(how)}
    with Journal(Path(folder) / 'journal.sqlite', settings, restart) as journal:
        todo = [video for video, stamp in stamps.items() if not journal.is_current(video, stamp, time_limit)]
        with closing(pool.run(todo)) as results:
            for video, outcome in track(results, 'files', len(todo)):
                journal.add(_finding(video, stamps[video], outcome, time_limit))
        findings = {video: journal.known[video] for video in stamps}
    problems = judge(lines, findings, criteria)
    return Verification(Path(ann_file), root, lines, findings, problems, criteria, len(todo))


def _count_lines(ann_file: str | Path) -> dict[str, int]:
    """Counts the lines of each video, in the order of first mention."""
    lines: dict[str, int] = {}
    for number, row in read_jsonl(ann_file):
        video = row.get('video')
        if not isinstance(video, str) or not video:
            raise AnnotationError(
                f"{ann_file}:{number}: 'video' is {video!r}, a path below the video root was expected. "
                'Correct the line.'
            )
        lines[video] = lines.get(video, 0) + 1
    return lines


def _stamp_files(videos: Iterable[str], root: Path) -> dict[str, tuple[int, int]]:
    """Returns size in bytes and time of the last change in ns of the files that are there."""
    stamps, absent = {}, []
    for video in videos:
        try:
            status = (root / video).stat()
            stamps[video] = status.st_size, status.st_mtime_ns
        except OSError:
            absent.append(video)
    if not stamps:
        raise MissingVideosError(
            f"none of the {len(absent)} videos is below '{root}'. Looked for, among others: "
            f'{", ".join(sorted(absent)[:3])}. Correct the folder, or the paths of the annotation file.'
        )
    return stamps


def _inspect(video: str, root: Path, how: Inspection) -> dict[str, Any]:
    return inspect_file(root / video, how)


def _finding(video: str, stamp: tuple[int, int], outcome: Outcome, time_limit: float) -> Finding:
    if outcome.kind == 'done' and 'why' not in outcome.value:
        return Finding(video, *stamp, 'read', **outcome.value)
    if outcome.kind in ('done', 'failed'):
        why = outcome.value['why'] if outcome.kind == 'done' else outcome.value
        return Finding(video, *stamp, 'unreadable', why=why)
    limit = time_limit if outcome.kind == 'timed_out' else None
    return Finding(video, *stamp, outcome.kind, why=outcome.value, time_limit=limit)
