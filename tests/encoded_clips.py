"""Clips whose frame number is painted as brightness, or of noise, encoded in many ways."""

from fractions import Fraction

import av
import numpy as np

STEP = 4
NOISE = np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), dtype=np.uint8)


def ramp(count, height=64, width=64):
    """Frame i has gray level STEP * (i + 1)."""
    return np.stack([np.full((height, width, 3), STEP * (i + 1), np.uint8) for i in range(count)])


def numbers(frames):
    """The frame numbers that are painted."""
    return [round(frame.mean() / STEP) - 1 for frame in frames.astype(float)]


def encode(path, frames, codec='libx264', options=None, pts=None, rotation=0):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for i, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = (pts[i] if pts else 40 * i), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)
