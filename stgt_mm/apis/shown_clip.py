"""A clip as a model gets it, and as people want to see it: frames as large as the file has them, times."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from stgt_mm.apis.base import Pipeline, read_clip
from stgt_mm.datasets.collate import video_text_collate
from stgt_mm.datasets.readers import VideoReadError, open_video
from stgt_mm.datasets.transforms import LoadImage, LoadVideo, PackVideoText, Resize, ReverseTime

WHOLE = (LoadVideo, LoadImage, ReverseTime, Resize, PackVideoText)


class ShownClip(NamedTuple):
    """One clip of T frames."""

    inputs: dict[str, Tensor]  # what the model reads, on its device
    frames: Tensor  # uint8 (T, 3, H, W), on the CPU
    titles: list[str]  # when each is shown, in seconds; else its number


def read_shown_clip(model: nn.Module, pipeline: Pipeline, path: str | os.PathLike) -> ShownClip:
    """Reads a video for a model and for a picture; ``pipeline`` is that of ``clip_pipeline``.

    A file that cannot be decoded is a VideoReadError.
    """
    sample = read_clip(pipeline, path)
    frames = read_clip(without_resize(pipeline), path)['inputs']
    indices = sample['data_samples'].frame_indices
    try:
        with open_video(path) as video:
            times = video.times
    except VideoReadError:  # a picture
        times = None
    titles = [f'frame {index}' if times is None else f'{times[index]:.2f} s' for index in indices]
    return ShownClip(model.data_preprocessor(video_text_collate([sample]))['inputs'], frames, titles)


def without_resize(pipeline: Sequence[Any]) -> list[Any]:
    """Leaves ``Resize`` out, so that frames come as large as the file has them.

    Where another transform could crop or turn them all steps stay: a picture must show what the model sees.
    """
    if not all(isinstance(step, WHOLE) for step in pipeline):
        return list(pipeline)
    return [step for step in pipeline if not isinstance(step, Resize)]
