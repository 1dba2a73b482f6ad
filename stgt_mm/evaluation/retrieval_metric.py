"""The metric of retrieval: queries become counts, and counts the retrieval table, here and nowhere else."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from stgt_mm.evaluation.paper_rows import find_paper_row
from stgt_mm.evaluation.tables import recall_table
from stgt_mm.functional.ranking import CUTOFFS, TIES, RankCounts, count_ranks, retrieval_metrics
from stgt_mm.registry import METRICS

GALLERIES = ('captions', 'videos')


@METRICS.register_module()
class RetrievalMetric(BaseMetric):
    """R@k, their mean, median and mean rank, text to video and video to text, many captions a video included.

    Text to video: each caption is a query. Video to text comes in two kinds, different when a video has more
    captions: ``captions`` ranks the best of them among all captions (LAVIS, Singularity), ``videos`` lets the
    best caption of each video stand for it and ranks among videos (CLIP4Clip), which gives higher numbers.
    ``v2t/*`` is the one chosen with ``v2t_gallery``; when they can differ, both are reported by name,
    ``v2t_captions/*`` and ``v2t_videos/*``.

    Args:
        ties: ``'average'`` (expected value over all orders of the tied items), ``'optimistic'`` or
            ``'pessimistic'``.
        v2t_gallery: ``'captions'`` or ``'videos'``.
        cutoffs: The k of R@k.
        collect_device: ``'gpu'`` collects through the process group (of any backend), ``'cpu'`` through
            files.
        prefix: Put before every name.
        paper_row: Row of the paper's tables that the numbers are shown beside, for example
            ``'ablation/table2_adjacency_weights'``; no number depends on it.
        paper_tables: JSON file with rows of the same form as ``paper_tables.json`` of the package.

    Raises:
        ValueError: If an option has an impossible value.
        UserError: If there is no such row, or the file cannot be used.
    """

    default_prefix = ''  # the rankings have names of their own
    table = staticmethod(recall_table)

    def __init__(
        self,
        ties: str = 'average',
        v2t_gallery: str = 'captions',
        cutoffs: Sequence[int] = CUTOFFS,
        collect_device: str = 'gpu',
        prefix: str | None = None,
        paper_row: str | None = None,
        paper_tables: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if ties not in TIES:
            raise ValueError(f"ties='{ties}' is unknown. Use one of {', '.join(TIES)}.")
        if v2t_gallery not in GALLERIES:
            raise ValueError(f"v2t_gallery='{v2t_gallery}' is unknown. Use one of {', '.join(GALLERIES)}.")
        if not cutoffs or min(cutoffs) < 1:
            raise ValueError(f'cutoffs={tuple(cutoffs)}: at least one is needed, and each is at least 1.')
        self.ties = ties
        self.v2t_gallery = v2t_gallery
        self.cutoffs = tuple(cutoffs)
        self.paper_row = None if paper_row is None else find_paper_row(paper_row, paper_tables)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Counts the ranks of queries, dicts as of :func:`~stgt_mm.evaluation.rank.query_batches`."""
        for key, group in groupby(data_samples, lambda sample: (sample['ranking'], sample['gallery'])):
            queries = list(group)
            scores, relevant = (torch.stack([q[name] for q in queries]) for name in ('scores', 'relevant'))
            tier = None if queries[0]['tier'] is None else torch.stack([q['tier'] for q in queries])
            counts = count_ranks(scores, relevant, tier)
            number = torch.tensor([query['query'] for query in queries])
            self.results.append((*key, torch.stack([number, *counts], dim=1)))

    def compute_metrics(self, results: list[tuple[str, str, Tensor]]) -> dict[str, float]:
        """Computes ``<ranking>/R1`` etc. from (ranking, gallery, rows of query, better, tied, relevant)."""
        found: dict[str, dict[str, list[Tensor]]] = {}
        for ranking, gallery, rows in results:
            found.setdefault(ranking, {}).setdefault(gallery, []).append(rows)
        metrics: dict[str, float] = {}
        for ranking, galleries in found.items():
            values = {}
            for gallery, parts in galleries.items():
                rows = torch.cat(parts).unique(dim=0)  # a query that was seen twice counts once
                counts = RankCounts(*rows[:, 1:].unbind(1))
                values[gallery] = retrieval_metrics(counts, self.ties, self.cutoffs)
            named = {ranking: values.get(self.v2t_gallery) or next(iter(values.values()))}
            if len(values) > 1:
                named.update({f'{ranking}_{gallery}': values[gallery] for gallery in GALLERIES})
            metrics.update({f'{name}/{key}': v for name, own in named.items() for key, v in own.items()})
        return metrics
