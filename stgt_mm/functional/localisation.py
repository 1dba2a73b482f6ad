"""Temporal action localisation: average precision of detected segments, as ActivityNet counts it.

Source: Caba Heilbron et al., "ActivityNet" (CVPR 2015); interpolation of PASCAL VOC from 2010 on.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


class Segment(NamedTuple):
    """A stretch of a video with an action: seconds, and for a detection its score."""

    video: str
    label: str
    start: float
    end: float
    score: float = 1.0


def temporal_iou(segment: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a segment (2,) with others (N, 2), each (start, end): shape (N,)."""
    both = np.clip(np.minimum(segment[1], others[:, 1]) - np.maximum(segment[0], others[:, 0]), 0, None)
    union = (segment[1] - segment[0]) + (others[:, 1] - others[:, 0]) - both
    return both / np.maximum(union, np.finfo(float).tiny)


def interpolated_precision(hits: np.ndarray, total: int) -> float:
    """Area below the precision that is reached at each recall or a greater one.

    ``hits`` (D,), bool, says which detections are right, the best score first; ``total`` is how many truths.
    """
    found = np.cumsum(hits)
    precision = np.maximum.accumulate((found / np.arange(1, len(hits) + 1))[::-1])[::-1]
    return float(precision[hits].sum() / total)


def average_precisions(
    truths: Sequence[Segment], found: Sequence[Segment], thresholds: Sequence[float] = THRESHOLDS
) -> np.ndarray:
    """Average precision of one action at each IoU threshold: shape (number of thresholds,).

    Detections are taken by falling score, equal ones in their order. Each takes the truth of its video that
    it overlaps most among those that no better detection has taken, if their IoU reaches the threshold.
    """
    own: dict[str, list[tuple[float, float]]] = {}
    for truth in truths:
        own.setdefault(truth.video, []).append((truth.start, truth.end))
    spans = {video: np.array(segments, float) for video, segments in own.items()}
    taken = {video: np.zeros((len(thresholds), len(segments)), bool) for video, segments in spans.items()}
    hits = np.zeros((len(thresholds), len(found)), bool)
    for rank, one in enumerate(sorted(found, key=lambda one: -one.score)):
        if one.video not in spans:
            continue
        overlap = temporal_iou(np.array([one.start, one.end], float), spans[one.video])
        for place, threshold in enumerate(thresholds):
            free = np.where(taken[one.video][place], -1.0, overlap)
            best = int(free.argmax())
            if free[best] >= threshold:
                hits[place, rank] = taken[one.video][place, best] = True
    return np.array([interpolated_precision(row, len(truths)) for row in hits])


def localisation_map(
    truths: Sequence[Segment], found: Sequence[Segment], thresholds: Sequence[float] = THRESHOLDS
) -> Mapping[str, float]:
    """Mean average precision over the actions of the truths.

    Args:
        truths: Segments of all videos.
        found: Detections; those of an action that no truth has count nowhere.
        thresholds: Of the IoU.

    Returns:
        In percent ``mAP@<threshold>`` of each, and ``mAP``, their mean.

    Raises:
        ValueError: If there is no truth, a segment does not end after its start, or a score is NaN.

    Example:
        >>> truths = [Segment('a', 'run', 0, 10), Segment('b', 'jump', 0, 10)]
        >>> numbers = localisation_map(truths, [Segment('a', 'run', 0, 6, 0.9)], (0.5, 0.75))
        >>> {name: round(value, 1) for name, value in numbers.items()}
        {'mAP@0.5': 50.0, 'mAP@0.75': 0.0, 'mAP': 25.0}
    """
    if not truths:
        raise ValueError('there is no true segment: nothing can be found.')
    for one in (*truths, *found):
        if not one.start < one.end or one.score != one.score:
            raise ValueError(f'{one}: a segment needs start < end in seconds, and a score that is a number.')
    by_label: dict[str, tuple[list[Segment], list[Segment]]] = {}
    for truth in truths:
        by_label.setdefault(truth.label, ([], []))[0].append(truth)
    for one in found:
        if one.label in by_label:
            by_label[one.label][1].append(one)
    means = 100 * np.mean([average_precisions(*own, thresholds) for own in by_label.values()], axis=0)
    return {f'mAP@{t:g}': float(v) for t, v in zip(thresholds, means)} | {'mAP': float(means.mean())}
