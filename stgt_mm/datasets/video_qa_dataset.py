"""Questions on clips with their answers, for training and for evaluation."""

from collections import Counter
from typing import Any

from stgt_mm.datasets.clip_dataset import broken_sample
from stgt_mm.datasets.readers import VideoReadError
from stgt_mm.datasets.video_text_dataset import VideoTextDataset
from stgt_mm.registry import DATASETS


@DATASETS.register_module()
class VideoQADataset(VideoTextDataset):
    """One sample a question; the questions of a clip share its frames, and its tokens in a feature cache.

    A line is ``{"video", "question", "answer" or "answers", "question_id"?, "question_type"?}``. A sample has
    ``answer``, the one to learn, which is the most frequent of ``answers`` where a line names none. In
    training a clip that cannot be decoded is replaced by another sample; in evaluation none ever is.

    Args:
        *args: Of :class:`~stgt_mm.datasets.video_text_dataset.VideoTextDataset`.
        collect_broken: For evaluation, set by ``AnswerLoop``: whether a clip that cannot be read becomes a
            sample with ``inputs`` None and the reason in its meta information as ``broken``.
        **kwargs: Of the same; ``missing`` is ``'keep'`` by default if broken clips are collected.
    """

    def __init__(self, *args: Any, collect_broken: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault('missing', 'keep' if collect_broken else 'error')
        kwargs.setdefault('required', ('video', 'question'))
        super().__init__(*args, **kwargs)
        self.collect_broken = collect_broken

    def words_of(self, record: dict[str, Any]) -> dict[str, Any]:
        """Returns question and answers of a sample."""
        keys = ('question', 'question_id', 'question_type', 'answer', 'answers')
        words = {key: record[key] for key in keys if key in record}
        if 'answer' not in words:
            words['answer'] = Counter(words['answers']).most_common(1)[0][0]
        return words

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Loads a question; ``inputs`` are uint8 (T, 3, H, W) or cached tokens (T, 1 + N, C)."""
        if not self.collect_broken:
            return super().__getitem__(index)
        record = self.records[index]
        results = {**self._start(record, index, self.rng_of(index)), **self.words_of(record)}
        try:
            return self._load(results, int(index))
        except VideoReadError as error:
            return broken_sample({**record, 'video': results['video']}, index, error)
