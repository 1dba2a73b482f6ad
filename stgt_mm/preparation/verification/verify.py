"""All files of an annotation file: looked at in a pool, judged, reported, filtered."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stgt_mm.datasets.readers import reader_order
from stgt_mm.datasets.records import AnnotationError, MissingVideosError, read_jsonl
from stgt_mm.preparation.verification.inspection import Inspection, inspect_file
from stgt_mm.preparation.verification.journal import Finding, Journal, JournalError
from stgt_mm.preparation.verification.judgement import Criteria, judge
from stgt_mm.preparation.verification.report import Verification
from stgt_mm.preparation.verification.timed_pool import Outcome, TimedPool

Watch = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True)
class Effort:
    """How much is spent on the files.

    Args:
        jobs: Processes.
        time_limit: Seconds for a file.
        restart: Look again at files that are known from a run before.
    """

    jobs: int = 1
    time_limit: float = 120.0
    restart: bool = False


def verify(
    ann_file: str | Path,
    video_root: str | Path,
    folder: str | Path,
    how: Inspection,
    criteria: Criteria,
    effort: Effort,
    watch: Watch | None = None,
) -> Verification:
    """Looks at every file that an annotation file names, but for those known from a run before.

    Args:
        ann_file: JSON lines with a ``video`` each.
        video_root: Folder that the paths are relative to.
        folder: Where the journal is kept.
        how: What is looked at.
        criteria: What is too short.
        effort: Processes and time.
        watch: Gets the results as they come and their number, and gives them back: a progress bar.

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
    pool = TimedPool(partial(_inspect, root=Path(video_root), how=how), effort.jobs, effort.time_limit)
    if not Path(video_root).is_dir():
        raise FileNotFoundError(f"no folder '{video_root}' (working directory {Path.cwd()}).")
    lines = lines_of(ann_file)
    try:
        lock = FileLock(Path(folder) / 'lock').acquire(timeout=0)
    except Timeout:
        raise JournalError(f"another process is verifying into '{folder}'. Wait for it, or end it.") from None
    settings = {'video_root': str(Path(video_root).resolve()), **asdict(how)}
    with lock, Journal(Path(folder) / 'journal.jsonl', settings, effort.restart) as journal:
        todo, absent = _sort_out(lines, Path(video_root), journal, effort.time_limit)
        with closing(pool.run(todo)) as results:
            for video, outcome in results if watch is None else watch(results, len(todo)):
                journal.add(_finding(video, todo[video], outcome, effort.time_limit))
        findings = {video: journal.known[video] for video in lines if video not in absent}
    problems = judge(lines, findings, criteria)
    return Verification(Path(ann_file), Path(video_root), lines, findings, problems, criteria, len(todo))


def lines_of(ann_file: str | Path) -> dict[str, int]:
    """Counts the lines of each video.

    Args:
        ann_file: JSON lines.

    Returns:
        The number of lines of each video, in the order of first mention.

    Raises:
        AnnotationError: If a line is broken or names no video.
    """
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


def _sort_out(
    videos: Mapping[str, int], root: Path, journal: Journal, time_limit: float
) -> tuple[dict[str, tuple[int, int]], set[str]]:
    """Returns the files to look at, with size and time of change, and those that are missing."""
    todo: dict[str, tuple[int, int]] = {}
    absent = set()
    for video in videos:
        try:
            status = (root / video).stat()
        except OSError:
            absent.add(video)
            continue
        stamp = (status.st_size, status.st_mtime_ns)
        if not journal.is_current(video, stamp, time_limit):
            todo[video] = stamp
    if len(absent) == len(videos):
        raise MissingVideosError(
            f"none of the {len(absent)} videos is below '{root}'. Looked for, among others: "
            f'{", ".join(sorted(absent)[:3])}. Correct the folder, or the paths of the annotation file.'
        )
    return todo, absent


def _inspect(video: str, root: Path, how: Inspection) -> dict[str, Any]:
    return inspect_file(root / video, how)


def _finding(video: str, stamp: tuple[int, int], outcome: Outcome, time_limit: float) -> Finding:
    facts = (video, *stamp)
    if outcome.kind == 'done' and 'why' not in outcome.value:
        return Finding(*facts, 'read', **outcome.value)
    if outcome.kind == 'done':
        return Finding(*facts, 'unreadable', why=outcome.value['why'])
    if outcome.kind == 'failed':
        return Finding(*facts, 'unreadable', why=outcome.value)
    limit = time_limit if outcome.kind == 'timed_out' else None
    return Finding(*facts, outcome.kind, why=outcome.value, time_limit=limit)
