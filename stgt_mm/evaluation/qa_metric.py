"""Accuracy of answers to questions on videos, overall and by type of question."""

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from stgt_mm.evaluation.paper_rows import find_paper_row
from stgt_mm.evaluation.tables import answer_table
from stgt_mm.functional.answers import NORMALISATIONS, normalise_answer, question_type
from stgt_mm.io.answer_list import read_answers
from stgt_mm.registry import METRICS
from stgt_mm.utils import did_you_mean


@METRICS.register_module()
class VideoQAMetric(BaseMetric):
    """Top-1 accuracy: an answer is right when it equals a true one after a named normalisation.

    ``qa/accuracy`` and ``qa/<type>`` are percentages, ``qa/questions/all`` and ``qa/questions/<type>`` are
    counts. The type is the ``question_type`` of a sample, else its first word: what, who, how, when, where,
    or other. With a vocabulary, ``qa/unknown_answers`` is the percentage of questions none of whose answers
    is in it; they count as wrong, whatever was answered. A question that was seen twice counts once.

    Attributes:
        predictions: Of the last evaluation, on the main process: a dict a question, with its answers, the
            prediction and its score, and whether it is right.

    Args:
        normalisation: ``'exact'``, ``'basic'`` or ``'vqa'``, see
            :func:`~stgt_mm.functional.answers.normalise_answer`.
        vocabulary: Text file with an answer a line, that of a model with a closed vocabulary.
        collect_device: ``'gpu'`` collects through the process group (of any backend), ``'cpu'`` through
            files.
        prefix: Put before every name, ``qa`` by default.
        paper_row: Row of the paper's tables that the accuracy is shown beside, for example
            ``'msvd_qa/stgt_opt_2.7b'``; no number depends on it.
        paper_tables: JSON file with rows of the same form as ``paper_tables.json`` of the package.

    Raises:
        ValueError: If there is no such normalisation, or the vocabulary is missing or empty.
        UserError: If there is no such row.
    """

    default_prefix = 'qa'
    table = staticmethod(answer_table)

    def __init__(
        self,
        normalisation: str = 'basic',
        vocabulary: str | None = None,
        collect_device: str = 'gpu',
        prefix: str | None = None,
        paper_row: str | None = None,
        paper_tables: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if normalisation not in NORMALISATIONS:
            raise ValueError(
                f"normalisation='{normalisation}'. {did_you_mean(normalisation, NORMALISATIONS)}"
            )
        self.normalisation = normalisation
        self.known = None if vocabulary is None else set(map(self._normal, read_answers(vocabulary)))
        self.paper_row = None if paper_row is None else find_paper_row(paper_row, paper_tables)
        self.predictions: list[dict[str, Any]] = []

    def _normal(self, answer: str) -> str:
        return normalise_answer(answer, self.normalisation)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Judges predictions: samples with ``question``, ``answer`` or ``answers``, and ``prediction``."""
        for sample in data_samples:
            answers = sample.get('answers') or [sample['answer']]
            true = set(map(self._normal, answers))
            known = self.known is None or not true.isdisjoint(self.known)
            row = {key: sample.get(key) for key in ('sample_idx', 'video_id', 'question_id', 'question')}
            row['type'] = sample.get('question_type') or question_type(sample['question'])
            row |= {
                'answers': list(answers),
                'prediction': sample['prediction'],
                'score': sample.get('score'),
            }
            row |= {'known': known, 'right': known and self._normal(sample['prediction']) in true}
            self.results.append(row)

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Computes accuracies and counts from the rows of all processes."""
        rows = list({row['sample_idx']: row for row in results}.values())
        if not rows:
            raise ValueError(
                'no question was answered: the data set is empty, or none of its clips is readable.'
            )
        self.predictions = sorted(rows, key=lambda row: row['sample_idx'])
        by_type: dict[str, list[bool]] = {}
        for row in self.predictions:
            by_type.setdefault(row['type'], []).append(row['right'])
        metrics = {'accuracy': _percent([row['right'] for row in rows])}
        metrics |= {name: _percent(by_type[name]) for name in sorted(by_type)}
        if self.known is not None:
            metrics['unknown_answers'] = _percent([not row['known'] for row in rows])
        counts = {'all': len(rows)} | {name: len(by_type[name]) for name in sorted(by_type)}
        return metrics | {f'questions/{name}': count for name, count in counts.items()}


def _percent(values: list[bool]) -> float:
    return 100.0 * sum(values) / len(values)
