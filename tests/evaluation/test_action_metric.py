"""Accuracy of actions: views averaged, ties, what is left out, the table; by counting in plain Python."""

import math
import random

import pytest
import torch

from stgt_mm.evaluation import VideoAccuracy, format_report

NAMES = [f'action {letter}' for letter in 'abcdefg']


@pytest.fixture
def metric(tmp_path):
    path = tmp_path / 'actions.txt'
    path.write_text('\n'.join(NAMES))
    return lambda **options: VideoAccuracy(str(path), **options)


def view(index, clip, action, probabilities):
    return {'sample_idx': index, 'clip_idx': clip, 'video_id': f'v{clip}', 'action': action,
            'probabilities': torch.tensor(probabilities)}  # fmt: skip


def evaluate(metric, samples):
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_views_are_averaged_and_counted_as_by_hand(metric):
    rng = random.Random(0)
    samples, by_class, hits = [], {}, {1: 0, 5: 0}
    for clip in range(40):
        action = NAMES[rng.randrange(6)]
        views = [[rng.random() for _ in NAMES] for _ in range(3)]
        views = [[math.exp(4 * value) for value in own] for own in views]
        views = [[value / sum(own) for value in own] for own in views]
        samples += [view(3 * clip + n, clip, action, own) for n, own in enumerate(views)]
        mean = [sum(column) / 3 for column in zip(*views)]
        order = sorted(range(7), key=lambda index: -mean[index])
        place = order.index(NAMES.index(action))
        by_class.setdefault(action, []).append(place == 0)
        hits = {k: hits[k] + (place < k) for k in hits}
    made = metric()
    # in any order, and some views twice, as processes with uneven shares hand them over
    metrics = evaluate(made, rng.sample(samples, len(samples)) + samples[:7])
    assert metrics['action/top1'] == pytest.approx(100 * hits[1] / 40)
    assert metrics['action/top5'] == pytest.approx(100 * hits[5] / 40)
    each = {name: 100 * sum(own) / len(own) for name, own in by_class.items()}
    assert metrics['action/mean_class'] == pytest.approx(sum(each.values()) / len(each))
    assert {name: value for name, (value, _) in made.by_action.items()} == pytest.approx(each)
    assert metrics['action/videos'] == 40 == sum(count for _, count in made.by_action.values())
    assert len(made.predictions) == 40 and made.predictions[3]['video_id'] == 'v3'


def test_a_model_that_tells_nothing_apart_is_never_right(metric):
    metrics = evaluate(metric(), [view(0, 0, NAMES[0], [1 / 7] * 7)])
    assert metrics['action/top1'] == 0 == metrics['action/top5']


def test_a_video_with_a_broken_view_is_left_out(metric):
    right = [1.0] + [0.0] * 6
    metrics = evaluate(metric(), [view(n, n // 2, NAMES[0], right) for n in range(5)])
    assert metrics['action/videos'] == 2 and metrics['action/top1'] == 100


def test_what_does_not_go_together_is_named(metric):
    with pytest.raises(ValueError, match=r"actions.txt' has 7 actions, .* 7 apart and 'v0' shows 'sleep'"):
        evaluate(metric(), [view(0, 0, 'sleep', [0.0] * 7)])
    with pytest.raises(ValueError, match='the model tells 6 apart'):
        evaluate(metric(), [view(0, 0, NAMES[0], [0.0] * 6)])
    with pytest.raises(ValueError, match='NaN'):
        evaluate(metric(), [view(0, 0, NAMES[0], [math.nan] * 7)])


def test_the_table_has_the_second_hand_row_and_the_worst_first(metric):
    made = metric(paper_row='ucf101/s_vilm_linear')
    wrong, right = [0.0] * 6 + [1.0], [1.0] + [0.0] * 6
    metrics = evaluate(made, [view(0, 0, NAMES[0], right), view(1, 1, NAMES[1], wrong)])
    lines = [line.split() for line in format_report(metrics, {}, [made]).splitlines()]
    assert lines[2] == ['action', 'all,', 'top', '1', '2', '50.0', '94.8']
    assert [line[1:3] for line in lines[5:7]] == [['action', 'b'], ['action', 'a']]
    assert 'second-hand' in format_report(metrics, {}, [made])
