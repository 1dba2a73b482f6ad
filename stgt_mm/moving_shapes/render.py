"""Draws tracks as frames: anti-aliased shapes on a textured grey background."""

import numpy as np

from stgt_mm.moving_shapes.motion import FRAME_SIZE, Track

RGB = np.array(
    [[214, 40, 40], [40, 168, 60], [48, 84, 224], [236, 208, 48], [164, 60, 196], [240, 240, 240]], np.float32
)
"""Colours in the order of ``COLOURS``."""

_AXIS = np.arange(FRAME_SIZE, dtype=np.float32) + 0.5


def background(rng: np.random.Generator) -> np.ndarray:
    """Draws a background of low contrast, shape (H, W, 3), float32 in [0, 255]."""
    y, x = np.meshgrid(_AXIS, _AXIS, indexing='ij')
    kind = int(rng.integers(4))
    if kind == 0:
        coarse = rng.normal(size=(7, 7)).astype(np.float32)
        texture = np.kron(coarse, np.ones((8, 8), np.float32))[:FRAME_SIZE, :FRAME_SIZE]
    elif kind == 1:
        angle, period = rng.uniform(0, np.pi), rng.uniform(5, 12)
        texture = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    elif kind == 2:
        cell = int(rng.integers(4, 9))
        texture = np.where((x // cell + y // cell) % 2 > 0, 1.0, -1.0)
    else:
        angle = rng.uniform(0, 2 * np.pi)
        texture = ((x - 24) * np.cos(angle) + (y - 24) * np.sin(angle)) / 14
    level, contrast = rng.uniform(60, 120), rng.uniform(5, 14)
    tint = rng.uniform(-6, 6, size=3)
    grain = rng.normal(scale=3.0, size=(FRAME_SIZE, FRAME_SIZE, 1))
    image = level + contrast * texture[..., None] + tint + grain
    return image.clip(0, 255).astype(np.float32)


def _box(x: np.ndarray, y: np.ndarray, half_x: np.ndarray, half_y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x) - half_x, np.abs(y) - half_y)


def _distance(shape: str, x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Returns the signed distance to the outline, negative inside, broadcast over the arguments."""
    if shape == 'circle':
        return np.hypot(x, y) - radius
    if shape == 'ring':
        return np.abs(np.hypot(x, y) - 0.75 * radius) - 0.25 * radius
    if shape == 'square':
        return _box(x, y, 0.88 * radius, 0.88 * radius)
    if shape == 'cross':
        return np.minimum(_box(x, y, radius, 0.3 * radius), _box(x, y, 0.3 * radius, radius))
    return np.maximum(0.8944 * np.abs(x) - 0.4472 * (y + radius), y - 0.9 * radius)


def opacity(track: Track) -> np.ndarray:
    """Returns how far each pixel is covered by the object in each frame, shape (T, H, W), in [0, 1]."""
    xy = track.xy.astype(np.float32)
    radius = track.radius.astype(np.float32)[:, None, None]
    x = _AXIS[None, None, :] - xy[:, 0, None, None]
    y = _AXIS[None, :, None] - xy[:, 1, None, None]
    inside = np.clip(0.5 - _distance(track.shape, x, y, radius), 0.0, 1.0)
    return inside * track.visible.astype(np.float32)[:, None, None]


def visible_shares(tracks: list[Track]) -> np.ndarray:
    """Returns the share that each object has of each pixel, shape (objects, T, H, W), in [0, 1].

    A track hides those before it in the list; what they leave is background.
    """
    shares, free = [], np.float32(1)
    for track in reversed(tracks):
        alpha = opacity(track)
        shares.append(alpha * free)
        free = free * (1 - alpha)
    return np.stack(shares[::-1])


def render(tracks: list[Track], backdrop: np.ndarray, shade: np.ndarray) -> np.ndarray:
    """Draws a clip, uint8, shape (T, H, W, 3); a track hides those before it in the list.

    The background (H, W, 3) is in [0, 255]; ``shade`` (6, 3) is added to the colours of :data:`RGB`.
    """
    palette = RGB + shade.astype(np.float32)
    frames = np.repeat(backdrop[None], len(tracks[0].radius), axis=0)
    for track in tracks:
        alpha = opacity(track)[..., None]
        frames = frames * (1 - alpha) + palette[track.colour][:, None, None] * alpha
    return np.rint(frames.clip(0, 255)).astype(np.uint8)
