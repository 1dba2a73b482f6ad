"""Moving Shapes: no average over time knows the order, and eight frames show it."""

from functools import cache

import numpy as np
import pytest

from stgt_mm.moving_shapes.meaning import ACTIONS, DIRECTIONS, Look, Meaning, reverse
from stgt_mm.moving_shapes.motion import FRAME_SIZE, TIMES, draw_tracks

A, B = Look('red', 'circle'), Look('blue', 'square')
BIG, LITTLE = Look('green', 'cross', 'big'), Look('green', 'ring', 'small')
PAIRS = {
    'direction x': Meaning('move', (BIG,), ('left', 'steady')),
    'direction y': Meaning('move', (LITTLE,), ('up', 'stop')),
    'direction of one of two': Meaning('duo', (A, B), ('left',)),
    'direction in front': Meaning('pass', (A, B), ('left', 'front')),
    'direction behind': Meaning('pass', (A, B), ('down', 'behind')),
    'direction of three': Meaning('number', (A,), ('three', 'right')),
    'turn': Meaning('turn', (BIG,), ('right', 'up')),
    'turn mirrored': Meaning('turn', (LITTLE,), ('down', 'right')),
    'grow': Meaning('grow', (A,), ('grow',)),
    'grow of one of two': Meaning('duo', (A, B), ('grow',)),
    'recolour': Meaning('recolour', (A,), ('blue',)),
    'order of one': Meaning('order_one', (A,), ('left', 'swell')),
    'order of two directions': Meaning('order_one', (A,), ('left', 'right')),
    'order of vanish and hop': Meaning('order_one', (A,), ('vanish', 'up')),
    'order of two': Meaning('order_two', (A, B), ('left', 'up')),
    'order of two, one action grows': Meaning('order_two', (A, B), ('swell', 'vanish')),
}
DRAWS = 700


@cache
def sampled_states(meaning, seed, draws=DRAWS):
    """States at the 8 sampled frames, shape (draws, 8, objects, 5): x, y, radius, colour, visible.

    Objects are sorted by shape and colour, so that roles do not show in their place.
    """
    rng = np.random.default_rng(seed)
    clips = []
    for _ in range(draws):
        tracks = sorted(draw_tracks(meaning, rng), key=lambda track: (track.shape, track.xy[0].tolist()))
        rows = [np.column_stack([t.xy, t.radius, t.colour, t.visible])[::2] for t in tracks]
        clips.append(np.stack(rows, axis=1))
    return np.stack(clips)


def order_free(states):
    """All that a sum over frames of any function of one object's state can tell, up to binning."""
    draws = len(states)
    parts = []
    for index in range(states.shape[2]):
        x, y, radius, colour, visible = np.moveaxis(states[:, :, index], -1, 0)
        cells = (x // 8).astype(int) + 6 * (y // 8).astype(int)
        parts.append(np.eye(36)[cells.clip(0, 35)].sum(axis=1))
        sizes = np.digitize(radius, [3, 4, 5, 6, 7, 8, 9])
        parts.append(np.eye(8)[sizes].sum(axis=1))
        parts.append(np.eye(6)[colour.astype(int)].sum(axis=1))
        parts.append(np.eye(4)[(visible * 3.99).astype(int)].sum(axis=1))
        moments = [x, y, radius, visible, x * x, y * y, x * y, x * radius, y * radius, x * visible]
        parts.append(np.stack([moment.mean(axis=1) for moment in moments], axis=1))
    features = np.concatenate(parts, axis=1)
    return features.reshape(draws, -1)


def ridge_accuracy(first, second):
    """Accuracy on held-out halves of a ridge classifier that tells two sets of features apart."""
    half = len(first) // 2
    train, test = (np.concatenate([first[part], second[part]]) for part in (slice(half), slice(half, None)))
    mean, scale = train.mean(axis=0), train.std(axis=0) + 1e-6
    train, test = (np.column_stack([(x - mean) / scale, np.ones(len(x))]) for x in (train, test))
    labels = np.repeat([1.0, -1.0], half)
    weight = np.linalg.solve(train.T @ train + 10.0 * np.eye(train.shape[1]), train.T @ labels)
    return float(((test @ weight > 0) == (np.repeat([1.0, -1.0], len(test) // 2) > 0)).mean())


@pytest.mark.parametrize('name', PAIRS)
def test_order_free_features_do_not_tell_a_clip_from_its_reverse(name):
    first = order_free(sampled_states(PAIRS[name], seed=1))
    second = order_free(sampled_states(reverse(PAIRS[name]), seed=2))
    assert 0.44 < ridge_accuracy(first, second) < 0.56


def test_the_leak_meter_can_see_a_leak():
    """An object that rests longer where it stops is found out."""
    states = sampled_states(PAIRS['direction x'], seed=1)
    other = sampled_states(reverse(PAIRS['direction x']), seed=2)
    stay = np.array([0, 1, 2, 3, 4, 7, 7, 7])
    assert ridge_accuracy(order_free(states[:, stay]), order_free(other[:, stay])) > 0.58


@pytest.mark.parametrize('name', PAIRS)
def test_backwards_clips_look_like_clips_of_the_reversed_meaning(name):
    """Mean and spread of each object's state, frame by frame, agree within five standard errors."""
    played = sampled_states(PAIRS[name], seed=1)[:, ::-1]
    drawn = sampled_states(reverse(PAIRS[name]), seed=2)
    if PAIRS[name].family == 'number':
        played, drawn = np.sort(played, axis=2), np.sort(drawn, axis=2)
    error = np.sqrt((played.var(axis=0) + drawn.var(axis=0)) / DRAWS) + 1e-9
    assert (np.abs(played.mean(axis=0) - drawn.mean(axis=0)) / error).max() < 5.0
    assert np.abs(played.std(axis=0) - drawn.std(axis=0)).max() < 0.8


@pytest.mark.parametrize('direction', DIRECTIONS)
def test_a_move_spans_at_least_two_fifths_of_the_frame_and_four_intervals(direction):
    for family, event in (('move', (direction, 'steady')), ('move', (direction, 'stop'))):
        states = sampled_states(Meaning(family, (BIG,), event), seed=5, draws=100)[:, :, 0]
        axis = 0 if direction in ('left', 'right') else 1
        travelled = np.abs(states[:, -1, axis] - states[:, 0, axis])
        assert travelled.min() >= 0.4 * FRAME_SIZE
        busy = (np.abs(np.diff(states[:, :, axis], axis=1)) > 1e-6).sum(axis=1)
        assert busy.min() >= 3


@pytest.mark.parametrize('action', ACTIONS)
def test_an_action_undoes_itself_and_shows_in_at_least_two_frames(action):
    clips = sampled_states(Meaning('order_one', (A,), (action, 'swell')), seed=6, draws=100)
    states, home = clips[:, :4, 0], clips[:, 7, 0]
    away = np.abs(states - home[:, None])[..., [0, 1, 2, 4]]
    strong = (away > np.array([10.0, 10.0, 1.5, 0.5])).any(axis=-1)
    assert (strong.sum(axis=1) >= 2).all()


def test_objects_stay_inside_and_pairs_stay_apart():
    for meaning in (PAIRS['order of two'], PAIRS['direction of one of two'], PAIRS['grow of one of two']):
        states = sampled_states(meaning, seed=7, draws=200)
        low, high = states[..., :2] - states[..., 2:3], states[..., :2] + states[..., 2:3]
        assert low.min() >= 0 and high.max() <= FRAME_SIZE
        first, second = states[:, :, 0], states[:, :, 1]
        distance = np.abs(first[..., :2] - second[..., :2]).max(axis=-1)
        assert (distance > 0.8 * (first[..., 2] + second[..., 2])).mean() > 0.99


def test_sampled_frames_are_symmetric_in_time():
    assert TIMES[::2].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert TIMES[-1] == TIMES[-2]
