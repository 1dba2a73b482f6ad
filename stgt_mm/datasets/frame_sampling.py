"""The choice of frames of a clip."""

import numpy as np

SAMPLINGS = ('uniform', 'headtail')
WINDOWS = ('window', 'random_window')


def window_indices(total: int, count: int, stride: int, place: float) -> np.ndarray:
    """Chooses ``count`` of ``total`` frames, one in ``stride``: sorted indices, int64 of shape (count,).

    ``place`` in [0, 1] says where the window begins, 0 with the video and 1 so that it ends with it. A video
    that is shorter than the window repeats its last frame.
    """
    if total < 1 or count < 1 or stride < 1:
        raise ValueError(f'{count} frames of {total}, one in {stride}: the numbers must be at least 1.')
    room = max(0, total - (count - 1) * stride - 1)
    # each start is as likely as any other, if places are
    return np.minimum(min(int(place * (room + 1)), room) + np.arange(count) * stride, total - 1)


def sample_frame_indices(
    total: int, count: int, sampling: str = 'uniform', rng: np.random.Generator | None = None
) -> np.ndarray:
    """Chooses ``count`` of ``total`` frames: sorted indices, int64 of shape (count,).

    ``uniform`` takes frame floor(i * total / count); ``headtail`` draws half of the frames from the first
    half of the clip and half from the second, without repetition, with ``rng``. A clip shorter than ``count``
    gives all its frames and then repeats the last.

    Source: STGT appendix (8 frames), authors' release (``sampling='headtail'``).
    """
    if total < 1 or count < 1:
        raise ValueError(f'{count} frames of {total} cannot be taken: both numbers must be at least 1.')
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling='{sampling}' is unknown. Use one of {', '.join(SAMPLINGS)}.")
    if total < count:
        return np.minimum(np.arange(count), total - 1)
    if sampling == 'uniform':
        return np.arange(count) * total // count
    if rng is None:
        raise ValueError("sampling='headtail' draws at random: pass `rng`, or use sampling='uniform'.")
    middle = total // 2
    head = rng.choice(middle, size=count // 2, replace=False)
    tail = middle + rng.choice(total - middle, size=count - count // 2, replace=False)
    return np.sort(np.concatenate([head, tail])).astype(np.int64)
