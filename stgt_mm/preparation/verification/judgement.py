"""From findings to kinds of problems."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stgt_mm.jobs.journal import Finding
from stgt_mm.preparation.verification.inspection import is_image
from stgt_mm.utils import did_you_mean

UNUSABLE = ('missing', 'unreadable', 'timed_out', 'crashed')
KEEPABLE = ('too_short', 'duplicated')
KINDS = (*UNUSABLE, *KEEPABLE)


@dataclass(frozen=True)
class Criteria:
    """What is wrong with a file that can be read; one whose duration is unknown is long enough.

    ``keep`` has kinds of :data:`KEEPABLE` that are reported and stay in the filtered file.
    """

    min_frames: int = 2
    min_seconds: float = 0.0
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.min_frames < 1:
            raise ValueError(f'--min-frames {self.min_frames}: at least 1.')
        if not self.min_seconds >= 0:
            raise ValueError(f'--min-seconds {self.min_seconds}: 0 or more.')
        for kind in self.keep:
            if kind not in KEEPABLE:
                raise ValueError(f'--keep {kind}: no such kind. {did_you_mean(kind, KEEPABLE)}')

    def too_short(self, finding: Finding) -> bool:
        """Says whether a file that was read is too short; an image never is."""
        if finding.outcome != 'read' or is_image(finding.video):
            return False
        seconds = finding.seconds
        return finding.frames < self.min_frames or (seconds is not None and seconds < self.min_seconds)


def judge(
    videos: Iterable[str], findings: Mapping[str, Finding], criteria: Criteria
) -> dict[str, list[dict[str, Any]]]:
    """Returns the files of each of :data:`KINDS`, in order, with what there is to say.

    One that is too short may be a copy as well. Of several with the same bytes, the first is the original; a
    file without a finding is missing.
    """
    problems: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    originals: dict[str, str] = {}
    for video in videos:
        finding = findings.get(video)
        if finding is None:
            problems['missing'].append({'video': video})
            continue
        if finding.outcome != 'read':
            problems[finding.outcome].append({'video': video, 'why': finding.why})
            continue
        if criteria.too_short(finding):
            length = {'frames': finding.frames, 'seconds': finding.seconds}
            problems['too_short'].append({'video': video, **length})
        if finding.sha256 is not None:
            original = originals.setdefault(finding.sha256, video)
            if original != video:
                problems['duplicated'].append({'video': video, 'same_as': original})
    return problems
