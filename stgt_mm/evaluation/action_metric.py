"""Accuracy of action recognition: top-1, top-5, and by action."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from stgt_mm.evaluation.paper_rows import PaperRow, find_paper_row
from stgt_mm.evaluation.shares import refuse_nan
from stgt_mm.evaluation.tables import Groups, Table, action_table
from stgt_mm.io.answer_list import read_actions
from stgt_mm.registry import METRICS


@METRICS.register_module()
class VideoAccuracy(BaseMetric):
    """Accuracies of videos, whose views are averaged by their probabilities.

    ``action/top1``, ``action/top5`` and ``action/mean_class`` (top-1 of each action that occurs, averaged)
    are percentages, ``action/videos`` is their number; the table of a test has each action. A view that was
    seen twice counts once; a video of which a view is broken is left out.

    Attributes:
        by_action: Of the last evaluation: top-1 in percent and number of videos of each action that occurs.
        predictions: Of the last evaluation, on the main process: a dict a video, with its action, the
            likeliest one and its probability, and the place of the true one, from 1.

    Args:
        actions: Text file with the name of an action a line, that of the model.
        collect_device: ``'gpu'`` collects through the process group (of any backend), ``'cpu'`` through
            files.
        prefix: Put before every name, ``action`` by default.
        paper_row: Row that the numbers are shown beside, for example ``'ucf101/s_vilm_linear'``.
        paper_tables: JSON file with rows of the same form as ``paper_tables.json`` of the package.

    Raises:
        ValueError: If the file is missing or empty.
        UserError: If there is no such row.
    """

    default_prefix = 'action'

    def __init__(
        self,
        actions: str,
        collect_device: str = 'gpu',
        prefix: str | None = None,
        paper_row: str | None = None,
        paper_tables: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.actions = read_actions(actions)
        self._file = actions
        self.by_action: dict[str, tuple[float, int]] = {}
        self.paper_row = None if paper_row is None else find_paper_row(paper_row, paper_tables)
        self.predictions: list[dict[str, Any]] = []

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps views: samples with ``action`` and ``probabilities``."""
        for sample in data_samples:
            if sample['action'] not in self.actions or len(sample['probabilities']) != len(self.actions):
                raise ValueError(
                    f"'{self._file}' has {len(self.actions)} actions, the model tells "
                    f"{len(sample['probabilities'])} apart and '{sample['video_id']}' shows "
                    f"'{sample['action']}': name the file of the training as actions of model and metric."
                )
            row = {key: sample[key] for key in ('sample_idx', 'video_id', 'action')}
            row['clip_idx'] = sample.get('clip_idx', sample['sample_idx'])
            self.results.append(row | {'probabilities': sample['probabilities'].float().cpu()})

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Computes accuracies and counts from the views of all processes."""
        clips: dict[int, list[dict[str, Any]]] = {}
        for row in {row['sample_idx']: row for row in results}.values():
            clips.setdefault(row['clip_idx'], []).append(row)
        most = max(map(len, clips.values()), default=0)
        whole = [views for _, views in sorted(clips.items()) if len(views) == most]
        if not whole:
            raise ValueError('no video was recognised: the data set is empty, or none of it is readable.')
        scores = torch.stack(
            [torch.stack([view['probabilities'].double() for view in views]).mean(dim=0) for views in whole]
        )
        labels = torch.tensor([self.actions.index(views[0]['action']) for views in whole])
        # equal ones stand before the true action: a model that tells nothing apart is never right
        own = refuse_nan(scores, 'probabilities').gather(1, labels[:, None])
        place = (scores >= own).sum(dim=1) - 1
        best = scores.max(dim=1)
        self.predictions = [
            {key: views[0][key] for key in ('video_id', 'action')}
            | {'prediction': self.actions[index], 'score': score, 'place': own + 1}
            for views, index, score, own in zip(
                whole, best.indices.tolist(), best.values.tolist(), place.tolist()
            )
        ]
        return self._numbers(place, labels)

    def _numbers(self, place: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
        self.by_action = {
            self.actions[label]: (_percent(place[labels == label] == 0), int((labels == label).sum()))
            for label in labels.unique().tolist()
        }
        each = [value for value, _ in self.by_action.values()]
        metrics = {f'top{k}': _percent(place < k) for k in (1, 5)}
        return metrics | {'mean_class': sum(each) / len(each), 'videos': len(labels)}

    def table(self, groups: Groups, protocol: dict[str, Any], paper_row: PaperRow | None) -> Table:
        """Shows the last evaluation in a report."""
        return action_table(groups, self.by_action, paper_row)


def _percent(right: torch.Tensor) -> float:
    return 100 * float(right.double().mean())
