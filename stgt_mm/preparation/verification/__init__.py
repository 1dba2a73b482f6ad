"""Files of an annotation file that cannot be trained on: missing, unreadable, too short, duplicated."""

from stgt_mm.preparation.verification.inspection import Inspection
from stgt_mm.preparation.verification.judgement import Criteria
from stgt_mm.preparation.verification.verify import verify

__all__ = ['Criteria', 'Inspection', 'verify']
