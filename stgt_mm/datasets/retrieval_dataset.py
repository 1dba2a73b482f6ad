"""Unique videos to encode once, and the texts that belong to them."""

from typing import Any

from stgt_mm.datasets.clip_dataset import ClipDataset, broken_sample, unique_clips
from stgt_mm.datasets.readers import VideoReadError
from stgt_mm.datasets.records import Records
from stgt_mm.registry import DATASETS


@DATASETS.register_module()
class RetrievalDataset(ClipDataset):
    """Iterates over unique videos; the captions and the relation are attributes.

    Several lines with one ``text_id`` are one caption that fits several videos; several lines with one video
    are several captions of it. Nothing assumes a diagonal. Evaluation never substitutes a clip: an unreadable
    one stops it, or, with ``collect_broken``, comes as a sample without frames.

    Attributes:
        videos: Record of each unique video, V dicts with ``video`` and ``video_id``.
        texts: Captions, K strings as written in the file.
        text_ids: Their ids.
        text_to_videos: For each caption the indices of its videos in ``videos``.

    Args:
        *args: Of :class:`~stgt_mm.datasets.clip_dataset.ClipDataset`.
        collect_broken: Whether a clip that cannot be read becomes a sample with ``inputs`` None and the
            reason in the meta information as ``broken``, instead of an error.
        **kwargs: Of the same; ``missing`` is ``'keep'`` by default if broken clips are collected.
    """

    def __init__(self, *args: Any, collect_broken: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault('missing', 'keep' if collect_broken else 'error')
        self.collect_broken = collect_broken
        super().__init__(*args, **kwargs)

    def _set_records(self, records: Records) -> None:
        rows = list(records)
        self.videos, clip_of = unique_clips(rows)
        self.records = self.videos
        self._relate(rows, clip_of)

    def _relate(self, records: list[dict[str, Any]], clip_of: list[int]) -> None:
        places: dict[str, int] = {}
        self.texts: list[str] = []
        self.text_ids: list[str] = []
        self.text_to_videos: list[list[int]] = []
        for record, clip in zip(records, clip_of, strict=True):
            place = places.setdefault(record['text_id'], len(places))
            if place == len(self.texts):
                self.texts.append(record['text'])
                self.text_ids.append(record['text_id'])
                self.text_to_videos.append([])
            self.text_to_videos[place].append(clip)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Loads a video, uint8 (T, 3, H, W) or cached tokens (T, 1 + N, C), without any text."""
        record = self.records[index]
        try:
            return self._load(self._start(record, index, self.rng_of(index)), index)
        except VideoReadError as error:
            if not self.collect_broken:
                raise
            return broken_sample({**record, 'video': self.path_of(record)}, index, error)
