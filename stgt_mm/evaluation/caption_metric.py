"""Scores of captions against references: CIDEr, BLEU, ROUGE-L."""

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from stgt_mm.functional.caption_words import caption_words
from stgt_mm.registry import METRICS


@METRICS.register_module()
class CaptionMetric(BaseMetric):
    """CIDEr, BLEU-1 to 4 and ROUGE-L of ``pycocoevalcap``, times 100; METEOR and SPICE would need Java.

    CIDEr weighs words by how few videos have them: it is of a whole split, 0 with a single video. A video
    that was seen twice counts once.

    Attributes:
        normalisation: What captions are before they are compared, for results to name.
        predictions: Of the last evaluation, on the main process: a dict a video, with its references, the
            caption, its score and its own CIDEr.

    Args:
        collect_device: ``'gpu'`` collects through the process group (of any backend), ``'cpu'`` through
            files.
        prefix: Put before every name, ``caption`` by default.

    Raises:
        ValueError: If the package is not installed.

    Source: CIDEr (arXiv 1411.5726); COCO caption evaluation (arXiv 1504.00325).
    """

    default_prefix = 'caption'
    normalisation = 'caption_words, close to PTB'

    def __init__(self, collect_device: str = 'gpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        try:
            from pycocoevalcap.bleu.bleu import Bleu
            from pycocoevalcap.cider.cider import Cider
            from pycocoevalcap.rouge.rouge import Rouge
        except ImportError as error:
            raise ValueError(
                'CaptionMetric needs the package pycocoevalcap: pip install pycocoevalcap'
            ) from error
        self._cider, self._bleu, self._rouge = Cider(), Bleu(4), Rouge()
        self.predictions: list[dict[str, Any]] = []

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps predictions: samples with ``references`` and ``prediction``."""
        for sample in data_samples:
            row = {key: sample.get(key) for key in ('sample_idx', 'video_id')}
            row['references'] = list(sample['references'])
            self.results.append(row | {'prediction': sample['prediction'], 'score': sample.get('score')})

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Computes the scores from the rows of all processes."""
        rows = sorted({row['sample_idx']: row for row in results}.values(), key=lambda row: row['sample_idx'])
        if not rows:
            raise ValueError('nothing was captioned: the data set is empty, or no video of it is readable.')
        true = {row['sample_idx']: [_plain(text) for text in row['references']] for row in rows}
        told = {row['sample_idx']: [_plain(row['prediction'])] for row in rows}
        cider, each = self._cider.compute_score(true, told)
        bleu, _ = self._bleu.compute_score(true, told, verbose=0)
        rouge, _ = self._rouge.compute_score(true, told)
        self.predictions = [row | {'CIDEr': 100 * float(own)} for row, own in zip(rows, each)]
        scores = {'CIDEr': cider, **{f'BLEU-{n}': own for n, own in enumerate(bleu, 1)}, 'ROUGE-L': rouge}
        return {name: 100 * float(value) for name, value in scores.items()}


def _plain(caption: str) -> str:
    return ' '.join(caption_words(caption))
