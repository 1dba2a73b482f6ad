"""Motion of every object through the frames, drawn from a meaning.

The rule that keeps the order of events out of every average over time: the clip of a meaning and the clip
of its reverse, played backwards, come from the same distribution. So paths have steady speed, the rest
before an event and the rest after it are exchangeable, sides are drawn symmetrically, and ``order_*``
events undo themselves within their half of the clip.

Time runs in samples: the 8 frames that ``floor(i * 16 / 8)`` takes of 16 are at 0, 1, ... 7, with one
frame between two of them; reversal is ``t -> 7 - t``. The last of the 16 frames repeats the one before.
"""

from dataclasses import dataclass, replace

import numpy as np

from stgt_mm.moving_shapes.meaning import COLOURS, Look, Meaning

FRAME_SIZE = 48
NUM_FRAMES = 16
LAST_SAMPLE = 7.0
TIMES = np.minimum(np.arange(NUM_FRAMES) * 8.0 / NUM_FRAMES, LAST_SAMPLE)
"""Time of each frame in samples, shape (T,)."""

_RADIUS = {'small': (4.6, 5.2), 'big': (7.6, 8.4), '': (6.2, 7.2)}
_RADIUS_BESIDE_OTHERS = (5.4, 6.2)
_X, _Y = np.array([1.0, 0.0]), np.array([0.0, 1.0])
_STEP = {'left': -_X, 'right': _X, 'up': -_Y, 'down': _Y}
_MARGIN = 1.0


@dataclass
class Track:
    """One object through a clip of T frames."""

    shape: str  # one of ``SHAPES``
    xy: np.ndarray  # centre in pixels, x to the right and y down, shape (T, 2)
    radius: np.ndarray  # half the object's extent in pixels, shape (T,)
    colour: np.ndarray  # index into ``COLOURS``, shape (T,)
    visible: np.ndarray  # opacity in [0, 1], shape (T,)

    def swept_box(self) -> np.ndarray:
        """Returns (left, top, right, bottom) of all pixels that the object covers at some time."""
        low = (self.xy - self.radius[:, None]).min(axis=0)
        high = (self.xy + self.radius[:, None]).max(axis=0)
        return np.concatenate([low, high])


def draw_tracks(meaning: Meaning, rng: np.random.Generator) -> list[Track]:
    """Draws the tracks of a clip, with random places, lengths, rests and radii.

    A track hides those before it in the list.
    """
    family, event = meaning.family, meaning.event
    if family == 'pass':
        return _passing_tracks(meaning, rng)
    if family == 'number':
        return _parallel_tracks(meaning, rng)
    if family in ('order_two', 'duo'):
        tracks = [_resting_track(look, rng, beside_others=True) for look in meaning.objects]
        if family == 'duo':
            _lasting_change(tracks[0], event[0], rng)
            return _place_apart(tracks, rng)
        for slot, (track, action) in enumerate(zip(tracks, event)):
            _undone_change(track, action, rng, slot)
        # Neither its place nor what hides what may tell which object acts first.
        return _place_apart(tracks[::-1] if rng.random() < 0.5 else tracks, rng)
    track = _resting_track(meaning.objects[0], rng)
    if family == 'order_one':
        _undone_change(track, event[0], rng, slot=0)
        _undone_change(track, event[1], rng, slot=1)
    elif family == 'turn':
        # One speed along both legs of the L, however long each is.
        progress = _steady_progress(rng, 5.0, 6.6)
        legs = rng.uniform(20.0, 26.0, size=2)
        walked = progress * legs.sum()
        first, second = np.minimum(walked, legs[0]), np.maximum(walked - legs[0], 0.0)
        track.xy = first[:, None] * _STEP[event[0]] + second[:, None] * _STEP[event[1]]
    elif family == 'recolour':
        switch = LAST_SAMPLE / 2 + rng.uniform(-1.0, 1.0)
        track.colour = np.where(switch > TIMES, track.colour, COLOURS.index(event[0]))
    else:
        _lasting_change(track, event[0], rng, stop=event[-1] == 'stop')
    return _place_apart([track], rng)


def _resting_track(look: Look, rng: np.random.Generator, beside_others: bool = False) -> Track:
    """An object that stands at the origin and does not change."""
    radius = rng.uniform(*(_RADIUS_BESIDE_OTHERS if beside_others else _RADIUS[look.size]))
    colour = np.full(NUM_FRAMES, COLOURS.index(look.colour))
    xy, full = np.zeros((NUM_FRAMES, 2)), np.ones(NUM_FRAMES)
    return Track(look.shape, xy, np.full(NUM_FRAMES, radius), colour, full)


def _steady_progress(rng: np.random.Generator, shortest: float, longest: float) -> np.ndarray:
    """0 -> 1 at a steady speed with exchangeable rests before and after, shape (T,)."""
    duration = rng.uniform(shortest, longest)
    start = rng.uniform(0.0, LAST_SAMPLE - duration)
    return np.clip((TIMES - start) / duration, 0.0, 1.0)


def _halting_progress(rng: np.random.Generator, halt: float = 2.6) -> np.ndarray:
    """The same with a rest of ``halt`` at one half."""
    duration = rng.uniform(5.0, 6.6)
    start = rng.uniform(0.0, LAST_SAMPLE - duration)
    pace, middle = 2.0 / (duration - halt), start + duration / 2
    before = np.minimum((TIMES - start) * pace / 2, 0.5)
    after = np.maximum((TIMES - middle - halt / 2) * pace / 2, 0.0)
    return np.clip(before + after, 0.0, 1.0)


def _lasting_change(track: Track, event: str, rng: np.random.Generator, stop: bool = False) -> None:
    """Moves or resizes an object for 4 to 6 of the 7 intervals, for good."""
    progress = _halting_progress(rng) if stop else _steady_progress(rng, 4.0, 6.0)
    if event in ('grow', 'shrink'):
        small, large = rng.uniform(4.2, 4.8), rng.uniform(8.6, 9.6)
        progress = progress if event == 'grow' else 1.0 - progress
        track.radius = small + (large - small) * progress
    else:
        length = rng.uniform(22.0, 28.0)
        track.xy = track.xy + length * progress[:, None] * _STEP[event]


def _undone_change(track: Track, action: str, rng: np.random.Generator, slot: int) -> None:
    """Does and undoes an action within samples 0-3 (slot 0) or 4-7 (slot 1)."""
    centre = 1.5 + 4.0 * slot + rng.uniform(-0.25, 0.25)
    amount = np.clip(1.5 - np.abs(TIMES - centre), 0.0, 1.0)
    if action == 'swell':
        track.radius = track.radius * (1.0 + 0.6 * amount)
    elif action == 'contract':
        track.radius = track.radius * (1.0 - 0.55 * amount)
    elif action == 'vanish':
        track.visible = track.visible * (1.0 - amount)
    else:
        length = rng.uniform(20.0, 22.0)
        track.xy = track.xy + length * amount[:, None] * _STEP[action]


def _passing_tracks(meaning: Meaning, rng: np.random.Generator) -> list[Track]:
    """The first object moves over or under the second, which stands near the middle of the path."""
    mover, still = (_resting_track(look, rng) for look in meaning.objects)
    step = _STEP[meaning.event[0]]
    progress = _steady_progress(rng, 5.0, 6.6)
    length = rng.uniform(27.0, 31.0)
    mover.xy = (length * (progress - 0.5))[:, None] * step
    aside = rng.uniform(-2.5, 2.5) * step[::-1] + rng.uniform(-2.0, 2.0) * step
    still.xy = still.xy + aside
    return _place_together([still, mover] if meaning.event[1] == 'front' else [mover, still], rng)


def _parallel_tracks(meaning: Meaning, rng: np.random.Generator) -> list[Track]:
    """Two or three equal objects move side by side."""
    leader = _resting_track(meaning.objects[0], rng, beside_others=True)
    _lasting_change(leader, meaning.event[1], rng)
    side = np.abs(_STEP[meaning.event[1]])[::-1]
    gap = 2 * leader.radius[0] + rng.uniform(1.5, 2.5)
    tracks = [replace(leader, xy=leader.xy + index * gap * side) for index in range(meaning.num_objects)]
    return _place_together(tracks, rng)


def _allowed_shifts(tracks: list[Track]) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest shift that keep the tracks inside the frame, two arrays (2,)."""
    boxes = np.stack([track.swept_box() for track in tracks])
    low = _MARGIN - boxes[:, :2].min(axis=0)
    high = FRAME_SIZE - _MARGIN - boxes[:, 2:].max(axis=0)
    middle = (low + high) / 2  # for tracks that are wider than the frame
    return np.minimum(low, middle), np.maximum(high, middle)


def _place_together(tracks: list[Track], rng: np.random.Generator) -> list[Track]:
    """Shifts all tracks by the same random amount."""
    shift = rng.uniform(*_allowed_shifts(tracks))
    for track in tracks:
        track.xy = track.xy + shift
    return tracks


def _place_apart(tracks: list[Track], rng: np.random.Generator) -> list[Track]:
    """Puts each track at a random place such that the boxes that two of them sweep do not touch."""
    shifts = [rng.uniform(*_allowed_shifts([track]), size=(400, 2)) for track in tracks]
    chosen = 0
    if len(tracks) == 2:
        # the first of 400 draws that leaves a gap, else the one with the smallest overlap
        first, second = (track.swept_box() + np.tile(shift, 2) for track, shift in zip(tracks, shifts))
        gaps = np.maximum(first[:, :2] - second[:, 2:], second[:, :2] - first[:, 2:]).max(axis=1)
        chosen = int(np.argmax(gaps > 0)) if (gaps > 0).any() else int(np.argmax(gaps))
    for track, shift in zip(tracks, shifts):
        track.xy = track.xy + shift[chosen]
    return tracks
