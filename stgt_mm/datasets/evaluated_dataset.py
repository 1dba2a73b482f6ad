"""Clips of which something is known that a model is to find, for training and for evaluation."""

from typing import Any

from stgt_mm.datasets.clip_dataset import broken_sample
from stgt_mm.datasets.readers import VideoReadError
from stgt_mm.datasets.video_text_dataset import VideoTextDataset


class EvaluatedDataset(VideoTextDataset):
    """Base of data sets of questions or actions; a subclass has ``words_of``.

    In training a clip that cannot be decoded is replaced by another sample; in evaluation none ever is.

    Args:
        *args: Of :class:`~stgt_mm.datasets.video_text_dataset.VideoTextDataset`.
        collect_broken: For evaluation, set by ``AnswerLoop``: whether a clip that cannot be read becomes a
            sample with ``inputs`` None and the reason in its meta information as ``broken``.
        **kwargs: Of the same; ``missing`` is ``'keep'`` by default if broken clips are collected.
    """

    def __init__(self, *args: Any, collect_broken: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault('missing', 'keep' if collect_broken else 'error')
        super().__init__(*args, **kwargs)
        self.collect_broken = collect_broken

    def place_of(self, index: int) -> int:
        """Returns which record a sample is of."""
        return int(index)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Loads a sample; ``inputs`` are uint8 (T, 3, H, W) or cached tokens (T, 1 + N, C)."""
        if not self.collect_broken:
            return super().__getitem__(index)
        place = self.place_of(index)
        record = self.records[place]
        results = {**self._start(record, index, self.rng_of(index)), **self.words_of(record)}
        try:
            return self._load(results, place)
        except VideoReadError as error:
            return broken_sample({**record, 'video': results['video']}, index, error)
