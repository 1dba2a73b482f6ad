"""Questions on clips with their answers, for training and for evaluation."""

from collections import Counter
from typing import Any

from stgt_mm.datasets.evaluated_dataset import EvaluatedDataset
from stgt_mm.registry import DATASETS


@DATASETS.register_module()
class VideoQADataset(EvaluatedDataset):
    """One sample a question; the questions of a clip share its frames, and its tokens in a feature cache.

    A line is ``{"video", "question", "answer" or "answers", "question_id"?, "question_type"?}``. A sample has
    ``answer``, the one to learn, which is the most frequent of ``answers`` where a line names none.

    Args:
        *args: Of :class:`~stgt_mm.datasets.evaluated_dataset.EvaluatedDataset`.
        **kwargs: Of the same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault('required', ('video', 'question'))
        super().__init__(*args, **kwargs)

    def words_of(self, record: dict[str, Any]) -> dict[str, Any]:
        """Returns question and answers of a sample."""
        keys = ('question', 'question_id', 'question_type', 'answer', 'answers')
        words = {key: record[key] for key in keys if key in record}
        if 'answer' not in words:
            words['answer'] = Counter(words['answers']).most_common(1)[0][0]
        return words
