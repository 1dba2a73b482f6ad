"""Clips of a few frames from video files, of one from pictures."""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from stgt_mm.datasets.frame_sampling import SAMPLINGS, WINDOWS, sample_frame_indices, window_indices
from stgt_mm.datasets.readers import read_frames, read_image
from stgt_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadVideo(BaseTransform):
    """Reads the frames of ``results['video']``.

    ``results['segment']``, in [0, 1], is where sampling 'window' begins, see
    :func:`~stgt_mm.datasets.frame_sampling.window_indices`; without it the window is in the middle.
    ``results['span']``, (start, end) in seconds, is taken out and read as a clip of its own if it is there.

    Adds ``frames`` (uint8, shape (T, 3, H, W)), ``num_frames`` (true number of frames of the file),
    ``frame_indices`` (the frames that were taken) and, if another reader had to stand in, ``failed_readers``
    (names of those tried in vain), so that the training process can count what happens in workers.

    Args:
        num_frames: Frames to take, T.
        sampling: ``'uniform'`` (test) or ``'headtail'`` (training) of the whole clip, see
            :func:`~stgt_mm.datasets.frame_sampling.sample_frame_indices`; ``'window'`` (test) or
            ``'random_window'`` (training) of a part of it, at the rate of the file or a fraction of it.
        reader: Name of the reader, ``'auto'`` for the default with its fallbacks.
        exact: Whether frames are counted by decoding in any case, and not only where packets may not be
            counted in their place.
        stride: Frames of the file from one that a window takes to the next.

    Raises:
        ValueError: If ``num_frames`` is below 1, the sampling is unknown, or ``stride`` does not go with it.
    """

    def __init__(
        self,
        num_frames: int = 8,
        sampling: str = 'uniform',
        reader: str = 'auto',
        exact: bool = False,
        stride: int | None = None,
    ) -> None:
        if num_frames < 1:
            raise ValueError(f'num_frames={num_frames}: a clip needs at least 1 frame.')
        if sampling not in SAMPLINGS + WINDOWS:
            known = ', '.join(SAMPLINGS + WINDOWS)
            raise ValueError(f"sampling='{sampling}' is unknown. Use one of {known}.")
        if (stride is not None) is not (sampling in WINDOWS) or (stride is not None and stride < 1):
            raise ValueError(f"stride={stride} with sampling='{sampling}': windows need one, of at least 1.")
        self.num_frames = num_frames
        self.sampling = sampling
        self.reader = reader
        self.exact = exact
        self.stride = stride
        self.view = 'segment' if sampling == 'window' else None

    @property
    def is_random(self) -> bool:
        """Whether two passes over one file may differ."""
        return self.sampling in ('headtail', 'random_window')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Reads the clip with one draw of ``rng``; ``VideoReadError`` if no reader can decode the file."""
        # Each reader that is tried must draw the same frames, so that a fallback changes nothing.
        seed = int(results['rng'].integers(2**63))

        def sample(count: int) -> tuple[int, ...]:
            rng = np.random.default_rng(seed)
            results['num_frames'] = count
            results['frame_indices'] = tuple(self._choose(count, rng, results.get('segment', 0.5)).tolist())
            return results['frame_indices']

        failed: list[str] = []
        frames = read_frames(
            results['video'],
            reader=self.reader,
            indices_fn=sample,
            exact=self.exact,
            failed=failed,
            span=results.pop('span', None),
        )
        if failed:
            results['failed_readers'] = tuple(failed)
        results['frames'] = torch.from_numpy(frames).permute(0, 3, 1, 2)
        return results

    def _choose(self, count: int, rng: np.random.Generator, segment: float) -> np.ndarray:
        if self.stride is None:
            return sample_frame_indices(count, self.num_frames, self.sampling, rng)
        place = rng.random() if self.is_random else segment
        return window_indices(count, self.num_frames, self.stride, place)

    def __repr__(self) -> str:
        options = (self.num_frames, self.sampling, self.reader, self.exact)
        # the default is left out: names of feature caches hold the pipeline
        stride = '' if self.stride is None else f', stride={self.stride}'
        return f'LoadVideo(num_frames, sampling, reader, exact = {options}{stride})'


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Reads the picture ``results['video']`` as a clip of one frame.

    It takes the place of ``LoadVideo`` in the pipeline of a data set of pictures, CC3M for example. Adds
    ``frames`` (uint8, shape (1, 3, H, W)), ``num_frames`` (1) and ``frame_indices``.
    """

    is_random = False

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Reads the picture; ``VideoReadError`` if the file is none or is damaged."""
        frames = torch.from_numpy(read_image(results['video']).copy())
        return results | {'frames': frames.permute(0, 3, 1, 2), 'num_frames': 1, 'frame_indices': (0,)}

    def __repr__(self) -> str:
        return 'LoadImage()'


@TRANSFORMS.register_module()
class ReverseTime(BaseTransform):
    """Plays a clip backwards if its record says ``reverse: true``; follows ``LoadVideo``."""

    is_random = False

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Turns ``frames`` (T, 3, H, W) and ``frame_indices`` round where ``record`` asks for it."""
        if results['record'].get('reverse', False):
            results['frames'] = results['frames'].flip(0)
            results['frame_indices'] = results['frame_indices'][::-1]
        return results

    def __repr__(self) -> str:
        return 'ReverseTime()'
