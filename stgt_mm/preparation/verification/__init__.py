"""Which files of an annotation file can be trained on: missing, unreadable, too short, duplicated."""

from stgt_mm.preparation.verification.inspection import Inspection, inspect_file
from stgt_mm.preparation.verification.journal import Finding, Journal, JournalError
from stgt_mm.preparation.verification.judgement import Criteria, judge
from stgt_mm.preparation.verification.report import Verification
from stgt_mm.preparation.verification.timed_pool import Outcome, TimedPool
from stgt_mm.preparation.verification.verify import Effort, verify

__all__ = [
    'Criteria',
    'Effort',
    'Finding',
    'Inspection',
    'Journal',
    'JournalError',
    'Outcome',
    'TimedPool',
    'Verification',
    'inspect_file',
    'judge',
    'verify',
]
