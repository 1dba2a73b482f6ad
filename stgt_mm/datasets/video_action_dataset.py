"""Clips and the actions that they show, for training and for evaluation in one view or several."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stgt_mm.datasets.evaluated_dataset import EvaluatedDataset
from stgt_mm.registry import DATASETS


@DATASETS.register_module()
class VideoActionDataset(EvaluatedDataset):
    """One sample a clip, or in evaluation one a view of it; ``action`` is the name of what it shows.

    A line is ``{"video", "action"}``. Views of a clip follow each other and share its ``clip_idx``.

    Args:
        *args: Of :class:`~stgt_mm.datasets.evaluated_dataset.EvaluatedDataset`.
        views: Segments and crops of a clip in evaluation, (10, 3) for 30 views. Several segments need
            ``LoadVideo(sampling='window')``, several crops ``SquareCrop``: they lie at equal distances, from
            one end to the other, a single one in the middle.
        **kwargs: Of the same.

    Raises:
        ValueError: If nothing in the pipeline makes such views, they are to be cached, or are of a training.
    """

    def __init__(self, *args: Any, views: Sequence[int] = (1, 1), **kwargs: Any) -> None:
        kwargs.setdefault('required', ('video', 'action'))
        super().__init__(*args, **kwargs)
        self.views = tuple(views)
        if len(self.views) != 2 or min(self.views) < 1:
            raise ValueError(f'views={self.views}: give (segments, crops), each at least 1.')
        made = {getattr(step, 'view', None) for step in self.transforms}
        for name, count, maker in zip(
            ('segment', 'crop'),
            self.views,
            ("LoadVideo(sampling='window', stride=...)", 'SquareCrop(size=...)'),
        ):
            if count > 1 and name not in made:
                raise ValueError(f'views={self.views}: the pipeline has no {maker}, which makes {name}s.')
        self._places = [np.linspace(0, 1, count) if count > 1 else [0.5] for count in self.views]
        if self.num_views > 1 and (self.feature_cache is not None or not self.collect_broken):
            raise ValueError(
                f'views={self.views} are for evaluation, without feature_cache; else use (1, 1).'
            )

    @property
    def num_views(self) -> int:
        """Samples of a clip."""
        return self.views[0] * self.views[1]

    def __len__(self) -> int:
        return len(self.records) * self.num_views

    def place_of(self, index: int) -> int:
        """Returns which record a sample is of."""
        return int(index) // self.num_views

    def words_of(self, record: dict[str, Any]) -> dict[str, Any]:
        """Returns what a sample says of its clip."""
        return {'action': record['action']}

    def _start(self, record: dict[str, Any], index: int, rng: np.random.Generator) -> dict[str, Any]:
        clip, view = divmod(int(index), self.num_views)
        segment, crop = divmod(view, self.views[1])
        where = {'segment': float(self._places[0][segment]), 'crop': float(self._places[1][crop])}
        return {**super()._start(record, index, rng), **where, 'clip_idx': clip}
