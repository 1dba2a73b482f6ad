"""Pairs of a clip and a caption, for training."""

import logging
from typing import Any

from mmengine.logging import print_log

from stgt_mm.datasets.clip_dataset import ClipDataset
from stgt_mm.datasets.readers import VideoReadError
from stgt_mm.registry import DATASETS


@DATASETS.register_module()
class VideoTextDataset(ClipDataset):
    """One sample a (video, text) line.

    A file that cannot be decoded is replaced by another sample, drawn from the sample's own generator; what
    was replaced stands in the meta information as ``replaced``, a list of (path, reason), so that the
    training process can count it, and is logged once a file and worker.

    Args:
        *args: Of :class:`~stgt_mm.datasets.clip_dataset.ClipDataset`.
        max_retries: Samples tried in place of one that cannot be decoded; 0 stops at the first.
        **kwargs: Of the same.

    Raises:
        ValueError: If ``max_retries`` is negative.
    """

    def __init__(self, *args: Any, max_retries: int = 5, **kwargs: Any) -> None:
        if max_retries < 0:
            raise ValueError(f'max_retries={max_retries}: use 0 to stop at the first unreadable file.')
        super().__init__(*args, **kwargs)
        self.max_retries = max_retries
        self._reported: set[str] = set()

    def words_of(self, record: dict[str, Any]) -> dict[str, Any]:
        """Returns what a sample says of its clip."""
        return {key: record[key] for key in ('text', 'text_id', 'noun_phrases') if key in record}

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Loads a pair; ``inputs`` are uint8 (T, 3, H, W) or cached tokens (T, 1 + N, C)."""
        rng = self.rng_of(index)
        chosen = int(index)
        replaced: list[tuple[str, str]] = []
        while True:
            record = self.records[chosen]
            results = {**self._start(record, index, rng), **self.words_of(record)}
            if replaced:
                results['replaced'] = list(replaced)
            try:
                return self._load(results, chosen)
            except VideoReadError as error:
                replaced.append((results['video'], str(error)))
                if results['video'] not in self._reported:
                    self._reported.add(results['video'])
                    print_log(f'Skipped: {error}', logger='current', level=logging.WARNING)
                if len(replaced) > self.max_retries:
                    raise VideoReadError(
                        results['video'], f'{error} ({len(replaced)} unreadable files in a row)'
                    ) from error
            chosen = int(rng.integers(len(self.records)))
