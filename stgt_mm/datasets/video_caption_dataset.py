"""Unique videos with all captions that people gave them, for evaluation."""

from typing import Any

from stgt_mm.datasets.retrieval_dataset import RetrievalDataset
from stgt_mm.registry import DATASETS


@DATASETS.register_module()
class VideoCaptionDataset(RetrievalDataset):
    """One sample a video; its captions are ``references``, which the model does not see.

    Lines are those of ``VideoTextDataset``, which is the one to train on. Captions of a video stay in the
    order of the file, those that occur twice too.

    Args:
        *args: Of :class:`~stgt_mm.datasets.retrieval_dataset.RetrievalDataset`.
        **kwargs: Of the same.

    Attributes:
        references: Captions of each of ``videos``, V lists.
    """

    def _relate(self, records: list[dict[str, Any]], clip_of: list[int]) -> None:
        super()._relate(records, clip_of)
        self.references: list[list[str]] = [[] for _ in self.videos]
        for record, clip in zip(records, clip_of, strict=True):
            self.references[clip].append(record['text'])

    def _start(self, record: dict[str, Any], index: int, *args: Any) -> dict[str, Any]:
        return {**super()._start(record, index, *args), 'references': self.references[index]}
