"""From a meaning to the state of every object in every frame.

The rule that keeps the order of events out of every average over time: the clip of a meaning and the clip
of its reverse, played backwards, come from the same distribution. So paths have steady speed, the rest
before an event and the rest after it are exchangeable, sides are drawn symmetrically, and ``order_*``
events undo themselves within their half of the clip.

Time runs in samples: the 8 frames that ``floor(i * 16 / 8)`` takes of 16 are at 0, 1, ... 7, with one
frame between two of them; reversal is ``t -> 7 - t``. The last of the 16 frames repeats the one before.
"""

from dataclasses import dataclass

import numpy as np

from stgt_mm.moving_shapes.meaning import COLOURS, Look, Meaning

FRAME_SIZE = 48
NUM_FRAMES = 16
LAST_SAMPLE = 7.0

_RADIUS = {'small': (4.6, 5.2), 'big': (7.6, 8.4), '': (6.2, 7.2)}
_PAIR_RADIUS = (5.4, 6.2)
_STEP = {'left': (-1.0, 0.0), 'right': (1.0, 0.0), 'up': (0.0, -1.0), 'down': (0.0, 1.0)}
_MARGIN = 1.0


@dataclass
class Track:
    """One object through a clip of T frames.

    Attributes:
        shape: One of ``SHAPES``.
        xy: Centre in pixels, x to the right and y down, shape (T, 2).
        radius: Half the object's extent in pixels, shape (T,).
        colour: Index into ``COLOURS``, shape (T,).
        visible: Opacity in [0, 1], shape (T,).
    """

    shape: str
    xy: np.ndarray
    radius: np.ndarray
    colour: np.ndarray
    visible: np.ndarray

    def extent(self) -> np.ndarray:
        """Returns the box (left, top, right, bottom) that the object sweeps, in pixels, shape (4,)."""
        low = (self.xy - self.radius[:, None]).min(axis=0)
        high = (self.xy + self.radius[:, None]).max(axis=0)
        return np.concatenate([low, high])


def sample_times(num_frames: int = NUM_FRAMES) -> np.ndarray:
    """Returns the time of each frame in samples, shape (T,); the last frame repeats the one before."""
    return np.minimum(np.arange(num_frames) * 8.0 / num_frames, LAST_SAMPLE)


def choreograph(meaning: Meaning, rng: np.random.Generator) -> list[Track]:
    """Draws the tracks of a clip.

    Args:
        meaning: What is to be shown.
        rng: Source of all that the meaning leaves open: places, lengths, rests, radii.

    Returns:
        Tracks in the order they are drawn: a later one hides an earlier one.
    """
    family, event = meaning.family, meaning.event
    times = sample_times()
    if family == 'order_two':
        return _place_apart(
            [_hold(look, rng, times, pair=True) for look in meaning.objects], event, rng, times
        )
    if family == 'duo':
        tracks = [_hold(look, rng, times, pair=True) for look in meaning.objects]
        _long_event(tracks[0], event[0], rng, times)
        return _scatter(tracks, rng)
    if family == 'pass':
        return _passing(meaning, rng, times)
    if family == 'number':
        return _parallel(meaning, rng, times)
    track = _hold(meaning.objects[0], rng, times)
    if family == 'order_one':
        _short_event(track, event[0], rng, times, slot=0)
        _short_event(track, event[1], rng, times, slot=1)
    elif family == 'turn':
        _corner(track, event, rng, times)
    elif family == 'recolour':
        switch = LAST_SAMPLE / 2 + rng.uniform(-1.0, 1.0)
        track.colour = np.where(times < switch, track.colour, COLOURS.index(event[0]))
    else:
        _long_event(track, event[0], rng, times, stop=event[-1] == 'stop')
    return _scatter([track], rng)


def _hold(look: Look, rng: np.random.Generator, times: np.ndarray, pair: bool = False) -> Track:
    radius = rng.uniform(*(_PAIR_RADIUS if pair else _RADIUS[look.size]))
    count = len(times)
    colour = np.full(count, COLOURS.index(look.colour))
    return Track(look.shape, np.zeros((count, 2)), np.full(count, radius), colour, np.ones(count))


def _progress(rng: np.random.Generator, times: np.ndarray, stop: bool = False) -> np.ndarray:
    """Returns 0 -> 1 at a steady speed with exchangeable rests, shape (T,); ``stop`` halts it at one half."""
    duration = rng.uniform(5.0, 6.6) if stop else rng.uniform(4.0, 6.0)
    start = rng.uniform(0.0, LAST_SAMPLE - duration)
    if not stop:
        return np.clip((times - start) / duration, 0.0, 1.0)
    halt, middle = 2.6, start + duration / 2
    pace = 2.0 / (duration - halt)
    before = np.minimum((times - start) * pace / 2, 0.5)
    after = np.maximum((times - middle - halt / 2) * pace / 2, 0.0)
    return np.clip(before + after, 0.0, 1.0)


def _long_event(
    track: Track, event: str, rng: np.random.Generator, times: np.ndarray, stop: bool = False
) -> None:
    """Gives a track an event that takes 4 to 6 of the 7 intervals and is not undone."""
    progress = _progress(rng, times, stop)
    if event in ('grow', 'shrink'):
        small, large = rng.uniform(4.2, 4.8), rng.uniform(8.6, 9.6)
        progress = progress if event == 'grow' else 1.0 - progress
        track.radius = small + (large - small) * progress
    else:
        length = rng.uniform(22.0, 28.0)
        track.xy = track.xy + length * progress[:, None] * np.array(_STEP[event])


def _short_event(track: Track, action: str, rng: np.random.Generator, times: np.ndarray, slot: int) -> None:
    """Gives a track an action that is done and undone within samples 0-3 (slot 0) or 4-7 (slot 1)."""
    centre = 1.5 + 4.0 * slot + rng.uniform(-0.25, 0.25)
    amount = np.clip(1.5 - np.abs(times - centre), 0.0, 1.0)
    if action == 'swell':
        track.radius = track.radius * (1.0 + 0.6 * amount)
    elif action == 'contract':
        track.radius = track.radius * (1.0 - 0.55 * amount)
    elif action == 'vanish':
        track.visible = track.visible * (1.0 - amount)
    else:
        length = rng.uniform(20.0, 22.0)
        track.xy = track.xy + length * amount[:, None] * np.array(_STEP[action])


def _corner(track: Track, event: tuple[str, ...], rng: np.random.Generator, times: np.ndarray) -> None:
    """Gives a track an L-shaped path at one steady speed."""
    duration = rng.uniform(5.0, 6.6)
    start = rng.uniform(0.0, LAST_SAMPLE - duration)
    legs = rng.uniform(20.0, 26.0, size=2)
    walked = np.clip((times - start) / duration, 0.0, 1.0) * legs.sum()
    first = np.minimum(walked, legs[0])
    second = np.maximum(walked - legs[0], 0.0)
    track.xy = first[:, None] * np.array(_STEP[event[0]]) + second[:, None] * np.array(_STEP[event[1]])


def _passing(meaning: Meaning, rng: np.random.Generator, times: np.ndarray) -> list[Track]:
    """Moves the first object over or under the second, which stands near the middle of the path."""
    mover, still = (_hold(look, rng, times) for look in meaning.objects)
    step = np.array(_STEP[meaning.event[0]])
    duration = rng.uniform(5.0, 6.6)
    start = rng.uniform(0.0, LAST_SAMPLE - duration)
    progress = np.clip((times - start) / duration, 0.0, 1.0)
    length = rng.uniform(27.0, 31.0)
    mover.xy = (length * (progress - 0.5))[:, None] * step
    aside = rng.uniform(-2.5, 2.5) * step[::-1] + rng.uniform(-2.0, 2.0) * step
    still.xy = still.xy + aside
    tracks = [still, mover] if meaning.event[1] == 'front' else [mover, still]
    return _scatter_together(tracks, rng)


def _parallel(meaning: Meaning, rng: np.random.Generator, times: np.ndarray) -> list[Track]:
    """Moves two or three equal objects side by side."""
    leader = _hold(meaning.objects[0], rng, times, pair=True)
    _long_event(leader, meaning.event[1], rng, times)
    side = np.abs(np.array(_STEP[meaning.event[1]]))[::-1]
    gap = 2 * leader.radius[0] + rng.uniform(1.5, 2.5)
    tracks = []
    for index in range(meaning.num_objects):
        xy = leader.xy + index * gap * side
        tracks.append(Track(leader.shape, xy, leader.radius, leader.colour, leader.visible))
    return _scatter_together(tracks, rng)


def _room(tracks: list[Track]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the least and greatest shift that keep the tracks inside the frame, two arrays (2,)."""
    boxes = np.stack([track.extent() for track in tracks])
    low = _MARGIN - boxes[:, :2].min(axis=0)
    high = FRAME_SIZE - _MARGIN - boxes[:, 2:].max(axis=0)
    middle = (low + high) / 2
    return np.minimum(low, middle), np.maximum(high, middle)


def _scatter_together(tracks: list[Track], rng: np.random.Generator) -> list[Track]:
    shift = rng.uniform(*_room(tracks))
    for track in tracks:
        track.xy = track.xy + shift
    return tracks


def _scatter(tracks: list[Track], rng: np.random.Generator) -> list[Track]:
    """Puts each track at a random place such that the boxes they sweep do not touch."""
    shifts = [rng.uniform(*_room([track]), size=(400, 2)) for track in tracks]
    chosen = 0
    if len(tracks) == 2:
        first, second = (track.extent() + np.tile(shift, 2) for track, shift in zip(tracks, shifts))
        gaps = np.maximum(first[:, :2] - second[:, 2:], second[:, :2] - first[:, 2:]).max(axis=1)
        chosen = int(np.argmax(gaps > 0)) if (gaps > 0).any() else int(np.argmax(gaps))
    for track, shift in zip(tracks, shifts):
        track.xy = track.xy + shift[chosen]
    return tracks


def _place_apart(
    tracks: list[Track], actions: tuple[str, ...], rng: np.random.Generator, times: np.ndarray
) -> list[Track]:
    """Gives two tracks one action each, the second after the first, and keeps them apart."""
    for slot, (track, action) in enumerate(zip(tracks, actions)):
        _short_event(track, action, rng, times, slot)
    swapped = rng.random() < 0.5
    tracks = _scatter(tracks[::-1] if swapped else tracks, rng)
    return tracks
