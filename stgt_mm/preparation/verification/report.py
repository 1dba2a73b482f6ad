"""The findings of a verification: for people, for programs, and the lines that are left."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import read_jsonl, write_records
from stgt_mm.io.whole_file import whole_file
from stgt_mm.jobs.journal import Finding
from stgt_mm.preparation.verification.judgement import KINDS, Criteria

EXAMPLES = 5


@dataclass(frozen=True)
class Verification:
    """The result of :func:`~stgt_mm.preparation.verification.verify`.

    ``lines`` has the number of lines of each video, ``problems`` the files of each kind (see :func:`judge`);
    ``looked_at`` counts the files of this run, the others are known from a run before.
    """

    ann_file: Path
    video_root: Path
    lines: dict[str, int]
    findings: dict[str, Finding]
    problems: dict[str, list[dict[str, Any]]]
    criteria: Criteria
    looked_at: int

    @cached_property
    def dropped(self) -> set[str]:
        """Videos whose lines are left out of the filtered file."""
        kinds = [kind for kind in KINDS if kind not in self.criteria.keep]
        return {entry['video'] for kind in kinds for entry in self.problems[kind]}

    @property
    def kept_lines(self) -> int:
        """Number of lines that are left."""
        return sum(count for video, count in self.lines.items() if video not in self.dropped)

    def summary(self) -> dict[str, Any]:
        """Returns all that is known, for JSON."""
        return {
            'ann_file': str(self.ann_file),
            'video_root': str(self.video_root),
            'criteria': asdict(self.criteria),
            'videos': len(self.lines),
            'lines': sum(self.lines.values()),
            'kept_videos': len(self.lines) - len(self.dropped),
            'kept_lines': self.kept_lines,
            'counts': {kind: len(entries) for kind, entries in self.problems.items()},
            'problems': self.problems,
        }

    def text(self, examples: int | None = EXAMPLES) -> str:
        """Writes the report for people, with so many files of a kind; None shows all."""
        known = len(self.findings) - self.looked_at
        rows = [
            f'{self.ann_file}: {len(self.lines):,} videos in {sum(self.lines.values()):,} lines, '
            f'below {self.video_root}',
            f'  looked at {self.looked_at:,} files' + (f', {known:,} known from before' if known else ''),
        ]
        for kind in KINDS:
            entries = self.problems[kind]
            kept = ' (kept)' if entries and kind in self.criteria.keep else ''
            rows.append(f'  {kind.replace("_", " "):<11}{len(entries):>9,}{kept}')
            rows.extend(f'    {_describe(entry)}' for entry in entries[:examples])
            if examples is not None and len(entries) > examples:
                rows.append(f'    ... {len(entries) - examples:,} more')
        usable = len(self.lines) - len(self.dropped)
        rows.append(f'  {"usable":<11}{usable:>9,} videos, {self.kept_lines:,} lines')
        return '\n'.join(rows)

    def write(self, folder: str | Path) -> list[Path]:
        """Writes ``report.json`` and ``report.txt`` with every file that has a problem; gives their paths."""
        paths = [Path(folder) / 'report.json', Path(folder) / 'report.txt']
        contents = [json.dumps(self.summary(), indent=1, ensure_ascii=False), self.text(examples=None)]
        for path, content in zip(paths, contents, strict=True):
            with whole_file(path) as partial:
                partial.write_text(content + '\n', encoding='utf-8')
        return paths

    def write_filtered(self, path: str | Path) -> int:
        """Writes the lines of usable videos, in order, and returns their number.

        A file of a run before is removed if no line is left.
        """
        path = Path(path)
        if path.resolve() == self.ann_file.resolve():
            raise ValueError(f"'{path}' is the annotation file itself. Name another file with --out.")
        if not self.kept_lines:
            path.unlink(missing_ok=True)
            return 0
        return write_records(
            (row for _, row in read_jsonl(self.ann_file) if row['video'] not in self.dropped), path
        )


def _describe(entry: dict[str, Any]) -> str:
    if 'why' in entry:
        return f'{entry["video"]}: {entry["why"]}'
    if 'same_as' in entry:
        return f'{entry["video"]} = {entry["same_as"]}'
    if 'frames' in entry:
        seconds = '' if entry['seconds'] is None else f', {entry["seconds"]:.2f} s'
        return f'{entry["video"]}: {entry["frames"]} frames{seconds}'
    return entry['video']
