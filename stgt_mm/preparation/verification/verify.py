"""All files of an annotation file: looked at in a pool, judged, reported, filtered."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path

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

    The journal is kept in ``folder``. ``jobs`` processes give each file ``time_limit`` seconds; ``restart``
    looks again at files that are known.
    """
    reader_order(how.reader)
    root = Path(video_root)
    pool = TimedPool(partial(inspect_file, how=how, root=root), jobs, time_limit)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder '{root}' (working directory {Path.cwd()}).")
    lines: dict[str, int] = {}  # of each video, in the order of first mention
    for number, row in read_jsonl(ann_file):
        video = row.get('video')
        if not isinstance(video, str) or not video:
            raise AnnotationError(
                f"{ann_file}:{number}: 'video' is {video!r}, a path below the video root was expected. "
                'Correct the line.'
            )
        lines[video] = lines.get(video, 0) + 1
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


def _finding(video: str, stamp: tuple[int, int], outcome: Outcome, time_limit: float) -> Finding:
    found = outcome.value if outcome.kind == 'done' else {'why': outcome.value}
    if outcome.kind in ('done', 'failed'):
        return Finding(video, *stamp, 'unreadable' if 'why' in found else 'read', **found)
    limit = time_limit if outcome.kind == 'timed_out' else None
    return Finding(video, *stamp, outcome.kind, **found, time_limit=limit)
