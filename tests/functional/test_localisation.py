"""mAP of localisation: cases counted by hand, and a loop that follows ActivityNet's rules word by word."""

import numpy as np
import pytest

from stgt_mm.functional.localisation import (
    THRESHOLDS,
    Segment,
    average_precisions,
    localisation_map,
    temporal_iou,
)

A, B = Segment('v', 'run', 0, 10), Segment('v', 'run', 20, 30)


def found(*spans):
    """Detections in 'v' by falling score."""
    return [Segment('v', 'run', *span, score=1 - 0.1 * place) for place, span in enumerate(spans)]


def test_overlap():
    spans = np.array([[0, 10], [5, 15], [10, 12], [2, 4], [-10, 20]], float)
    assert temporal_iou(np.array([0.0, 10.0]), spans).tolist() == pytest.approx([1, 1 / 3, 0, 0.2, 1 / 3])


@pytest.mark.parametrize(
    ('truths', 'detections', 'wanted'),
    [
        ([A], found((0, 10)), 1.0),
        ([A], [], 0.0),
        ([A], found((0, 5)), 1.0),  # an IoU of exactly the threshold is enough
        ([A], found((0, 4.9)), 0.0),
        ([A, B], found((0, 10)), 0.5),
        ([A, B], found((0, 10), (20, 30)), 1.0),
        ([A, B], found((40, 50), (0, 10), (20, 30)), 2 / 3),  # precisions 0, 1/2, 2/3; interpolated 2/3
        ([A, B], found((0, 10), (40, 50), (20, 30)), (1 + 2 / 3) / 2),
        ([A], found((0, 9), (0, 10)), 1.0),  # the second hit of one truth is wrong, behind full recall
        ([A, B], found((0, 10), (0, 9), (20, 30)), (1 + 2 / 3) / 2),
        ([A, Segment('v', 'run', 4, 12)], found((0, 10), (1, 10)), 1.0),  # the better is taken: the other
        ([A], [Segment('w', 'run', 0, 10)], 0.0),  # another video
    ],
)
def test_cases_counted_by_hand(truths, detections, wanted):
    assert average_precisions(truths, detections, (0.5,)).tolist() == pytest.approx([wanted])


def by_the_rules(truths, detections, threshold):
    """One action, one threshold: lists and loops, precision at each recall looked up."""
    locked, hits = set(), []
    for one in sorted(detections, key=lambda one: -one.score):
        overlaps = []
        for place, truth in enumerate(truths):
            both = min(one.end, truth.end) - max(one.start, truth.start)
            if truth.video == one.video and both > 0:
                overlaps.append((both / (one.end - one.start + truth.end - truth.start - both), place))
        free = [place for iou, place in sorted(overlaps, reverse=True) if iou >= threshold]
        free = [place for place in free if place not in locked][:1]
        locked.update(free)
        hits.append(bool(free))
    area = 0.0
    for k in range(1, len(truths) + 1):
        reached = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits)) if sum(hits[: n + 1]) >= k]
        area += max(reached, default=0.0) / len(truths)
    return area


def test_many_random_segments_follow_the_rules():
    rng = np.random.default_rng(0)

    def draw(count, label):
        start, length = rng.uniform(0, 20, count), rng.uniform(1, 12, count)
        return [
            Segment(f'v{rng.integers(3)}', label, s, s + n, score)
            for s, n, score in zip(start, length, rng.permutation(count))
        ]

    truths, detections = (
        draw(12, 'run') + draw(5, 'jump'),
        draw(60, 'run') + draw(20, 'jump') + draw(9, 'sit'),
    )
    numbers = localisation_map(truths, detections)
    means = []
    for threshold in THRESHOLDS:
        parts = [
            by_the_rules(
                *([one for one in own if one.label == label] for own in (truths, detections)), threshold
            )
            for label in ('run', 'jump')
        ]
        means.append(100 * sum(parts) / 2)
        assert numbers[f'mAP@{threshold:g}'] == pytest.approx(means[-1])
    assert numbers['mAP'] == pytest.approx(sum(means) / 10) and 0 < numbers['mAP'] < means[0]
    assert THRESHOLDS[0] == 0.5 and THRESHOLDS[-1] == 0.95


def test_what_cannot_be_scored_is_named():
    for truths, detections, words in (
        ([], [], 'no true segment'),
        ([A], [A._replace(end=0)], 'start < end'),
        ([A], [A._replace(score=float('nan'))], 'a number'),
    ):
        with pytest.raises(ValueError, match=words):
            localisation_map(truths, detections)
