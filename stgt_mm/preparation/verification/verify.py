"""All files of an annotation file: looked at in a pool, judged, reported, filtered."""

from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from stgt_mm.datasets.readers import reader_order
from stgt_mm.datasets.records import AnnotationError, MissingVideosError, read_jsonl
from stgt_mm.jobs.engine import Engine, map_records
from stgt_mm.jobs.journal import Finding, Journal
from stgt_mm.jobs.timed_pool import Outcome
from stgt_mm.preparation.verification.inspection import Inspection, inspect_file
from stgt_mm.preparation.verification.judgement import Criteria, judge
from stgt_mm.preparation.verification.report import Verification


def verify(
    ann_file: str | Path,
    video_root: str | Path,
    folder: str | Path,
    how: Inspection,
    criteria: Criteria,
    engine: Engine,
    restart: bool = False,
) -> Verification:
    """Looks at every file that an annotation file names, but for those known from a run before.

    The journal is kept in ``folder``; ``restart`` looks again at files that are known.
    """
    reader_order(how.reader)
    root = Path(video_root)
    pool = engine.pool(partial(inspect_file, how=how, root=root.absolute()), at_once=32)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder '{root}' (working directory {Path.cwd()}).")
    lines = count_lines(ann_file)
    stamps = stamp_files(lines, root)
    settings = {'video_root': str(root.resolve()), **asdict(how)}
    with Journal(Path(folder) / 'journal.sqlite', settings, restart) as journal:
        looked_at = map_records(
            pool, stamps, journal, partial(_finding, time_limit=engine.time_limit), 'files'
        )
        findings = {video: journal.known[video] for video in stamps}
    problems = judge(lines, findings, criteria)
    return Verification(Path(ann_file), root, lines, findings, problems, criteria, looked_at)


def count_lines(ann_file: str | Path) -> dict[str, int]:
    """Returns the number of lines of each video of an annotation file, in the order of first mention."""
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


def stamp_files(videos: Iterable[str], root: Path) -> dict[str, tuple[int, int]]:
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


def _finding(video: str, stamp: tuple[int, int], outcome: Outcome, time_limit: float) -> Finding:
    found = outcome.value if outcome.kind == 'done' else {'why': outcome.value}
    if outcome.kind in ('done', 'failed'):
        return Finding(video, *stamp, 'unreadable' if 'why' in found else 'read', **found)
    limit = time_limit if outcome.kind == 'timed_out' else None
    return Finding(video, *stamp, outcome.kind, **found, time_limit=limit)
