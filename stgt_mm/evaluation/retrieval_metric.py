"""The one implementation of the retrieval table."""

from collections.abc import Sequence

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.evaluator import BaseMetric
from torch import Tensor

from stgt_mm.evaluation.paper_rows import find_paper_row
from stgt_mm.evaluation.rerank import RankedScores
from stgt_mm.evaluation.two_stage import count_rows
from stgt_mm.functional.ranking import CUTOFFS, TIES, RankCounts, Relation, retrieval_metrics, row_chunks
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

    default_prefix = ''  # the loop names its numbers itself

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

    def process(self, data_batch: Relation, data_samples: Sequence[RankedScores]) -> None:
        """Counts ranks for this process's share of the queries.

        Args:
            data_batch: The relation text -> videos.
            data_samples: Score tables, complete on every process.
        """
        for table in data_samples:
            for name, gallery in self._reports(table, data_batch):
                self._count(name, gallery, table, data_batch)

    def _reports(self, table: RankedScores, relation: Relation) -> list[tuple[str, str]]:
        """Names the reports of a table and the gallery each is ranked in."""
        if table.direction == 't2v':
            return [(table.name, 'captions')]
        if relation.is_one_to_one():
            return [(table.name, 'captions')]
        return [(table.name, self.v2t_gallery)] + [(f'{table.name}_{kind}', kind) for kind in GALLERIES]

    def _count(self, name: str, gallery: str, table: RankedScores, relation: Relation) -> None:
        for number, (start, stop) in enumerate(row_chunks(*table.similarity.shape)):
            if number % get_world_size() != get_rank():
                continue
            counts = count_rows(table, relation, start, stop, gallery)
            self.results.append((name, torch.stack([torch.arange(start, stop), *counts], dim=1)))

    def evaluate(self, size: int) -> dict[str, float]:
        """Computes the metrics from the counts of all processes.

        Args:
            size: Number of queries; the collection needs no truncation, because results carry their ids.

        Returns:
            The metrics, on every process.
        """
        return super().evaluate(max(size, len(self.results) * get_world_size() + get_world_size()))

    def compute_metrics(self, results: list[tuple[str, Tensor]]) -> dict[str, float]:
        """Computes the metrics.

        Args:
            results: (name, rows of query, better, tied, relevant).

        Returns:
            ``<name>/R1``, ``R5``, ``R10``, ``Rmean`` (percent), ``MdR``, ``MnR``.
        """
        metrics: dict[str, float] = {}
        for name in dict.fromkeys(name for name, _ in results):
            rows = torch.cat([part for own, part in results if own == name]).unique(dim=0)
            values = retrieval_metrics(RankCounts(*rows[:, 1:].unbind(1)), self.ties, self.cutoffs)
            metrics.update({f'{name}/{key}': value for key, value in values.items()})
        return metrics
