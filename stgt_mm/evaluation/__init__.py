"""Evaluation in three steps: encode, rank, report."""

from stgt_mm.evaluation.action_metric import VideoAccuracy
from stgt_mm.evaluation.caption_metric import CaptionMetric
from stgt_mm.evaluation.encode import BrokenVideosError
from stgt_mm.evaluation.paper_rows import PaperRow, find_paper_row
from stgt_mm.evaluation.post_processing import DSL, QBNorm
from stgt_mm.evaluation.qa_metric import VideoQAMetric
from stgt_mm.evaluation.report import format_report, write_results
from stgt_mm.evaluation.retrieval_metric import RetrievalMetric

__all__ = [
    'DSL',
    'BrokenVideosError',
    'CaptionMetric',
    'PaperRow',
    'QBNorm',
    'RetrievalMetric',
    'VideoAccuracy',
    'VideoQAMetric',
    'find_paper_row',
    'format_report',
    'write_results',
]
