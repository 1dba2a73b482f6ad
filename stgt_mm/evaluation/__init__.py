"""Evaluation: encode once, compare, re-rank, count."""

from stgt_mm.evaluation.encode import BrokenVideosError, encode_texts, encode_videos, similarity_matrix
from stgt_mm.evaluation.gallery import EncodedSplit
from stgt_mm.evaluation.paper_rows import PaperRow, find_paper_row
from stgt_mm.evaluation.post_processing import DSL, QBNorm
from stgt_mm.evaluation.report import format_table, write_results
from stgt_mm.evaluation.rerank import CandidatePairs, RankedScores, match_pairs, top_candidates
from stgt_mm.evaluation.retrieval_metric import RetrievalMetric

__all__ = [
    'DSL',
    'BrokenVideosError',
    'CandidatePairs',
    'EncodedSplit',
    'PaperRow',
    'QBNorm',
    'RankedScores',
    'RetrievalMetric',
    'encode_texts',
    'encode_videos',
    'find_paper_row',
    'format_table',
    'match_pairs',
    'similarity_matrix',
    'top_candidates',
    'write_results',
]
