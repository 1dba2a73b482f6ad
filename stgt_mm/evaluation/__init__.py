"""Evaluation in three steps: encode, rank, report."""

from stgt_mm.evaluation.caption_choice import caption_choice, choice_accuracy
from stgt_mm.evaluation.encode import BrokenVideosError, EncodedSplit, encode_split, encode_texts, encode_videos
from stgt_mm.evaluation.paper_rows import PaperRow, find_paper_row
from stgt_mm.evaluation.post_processing import DSL, QBNorm
from stgt_mm.evaluation.rank import (
    Ranking,
    match_pairs,
    query_batches,
    similarity_matrix,
    similarity_rankings,
    top_candidates,
)
from stgt_mm.evaluation.report import format_report, write_results
from stgt_mm.evaluation.retrieval_metric import RetrievalMetric
from stgt_mm.evaluation.tables import Table

__all__ = [
    'DSL',
    'BrokenVideosError',
    'EncodedSplit',
    'PaperRow',
    'QBNorm',
    'Ranking',
    'RetrievalMetric',
    'Table',
    'caption_choice',
    'choice_accuracy',
    'encode_split',
    'encode_texts',
    'encode_videos',
    'find_paper_row',
    'format_report',
    'match_pairs',
    'query_batches',
    'similarity_matrix',
    'similarity_rankings',
    'top_candidates',
    'write_results',
]
