"""Single frames with a label for every patch, drawn on the fly: what the tiny backbone is trained on."""

from dataclasses import dataclass

import numpy as np

from stgt_mm.moving_shapes.meaning import COLOURS, SHAPES
from stgt_mm.moving_shapes.motion import FRAME_SIZE, Track
from stgt_mm.moving_shapes.render import RGB, background, opacity, render

PATCH = 8
GRID = FRAME_SIZE // PATCH
CELLS = 16
IGNORE = -100
"""Label of patches that show too little of an object to be one, and too much to be background."""

_OBJECT_PIXELS, _BACKGROUND_PIXELS = 6.0, 1.0


@dataclass
class LabelledFrames:
    """Frames of one background and one set of objects, which are elsewhere in each; N = 36 patches.

    Attributes:
        frames: uint8, shape (T, H, W, 3).
        owner: 0 is background, k the k-th look (equal objects are one), or ``IGNORE``; shape (T, N).
        shape: 0 is background, k is ``SHAPES[k - 1]``, or ``IGNORE``; shape (T, N).
        colour: The same of ``COLOURS``.
        offset: From the patch's centre to the object's centre (x, y), in patches, shape (T, N, 2).
        radius: Of the object, in patches; 0 where there is none; shape (T, N).
        shapes_present: Of ``SHAPES``, 0 or 1, shape (T, 5).
        colours_present: Of ``COLOURS``, 0 or 1, shape (T, 6).
        coverage: Share of each of a patch's 4x4 cells that objects cover, in [0, 1], shape (T, N, 16).
        area: Share of the frame that the objects cover, shape (T,).
    """

    frames: np.ndarray
    owner: np.ndarray
    shape: np.ndarray
    colour: np.ndarray
    offset: np.ndarray
    radius: np.ndarray
    shapes_present: np.ndarray
    colours_present: np.ndarray
    coverage: np.ndarray
    area: np.ndarray


def draw_frames(rng: np.random.Generator, count: int = 8, artefacts: bool = True) -> LabelledFrames:
    """Draws frames with 1 to 3 objects, in two cases of five equal ones, at random places and sizes.

    Args:
        rng: Source of randomness.
        count: T.
        artefacts: Whether colour is subsampled and noise added, as H.264 does.

    Returns:
        The frames and their labels.
    """
    number = int(rng.integers(1, 4))
    colours, shapes = rng.permutation(len(COLOURS))[:number], rng.permutation(len(SHAPES))[:number]
    equal = rng.random() < 0.4
    looks = [(colours[0], shapes[0])] * number if equal else list(zip(colours, shapes))
    tracks = []
    for colour, shape in looks:
        radius = rng.uniform(3.0, 10.0, size=count)
        xy = rng.uniform(0.6 * radius[:, None], FRAME_SIZE - 0.6 * radius[:, None], size=(count, 2))
        tracks.append(Track(SHAPES[shape], xy, radius, np.full(count, colour), np.ones(count)))
    frames = render(tracks, background(rng), rng.uniform(-14, 14, size=RGB.shape))
    if artefacts:
        frames = _degrade(frames, rng)
    return _label(frames, tracks, looks)


def _degrade(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Averages colour over 2x2 pixels and adds noise, as a stand-in for compression."""
    image = frames.astype(np.float32)
    luma = image @ np.array([0.299, 0.587, 0.114], np.float32)
    chroma = image - luma[..., None]
    count, height, width, _ = image.shape
    coarse = chroma.reshape(count, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4))
    image = luma[..., None] + coarse.repeat(2, axis=1).repeat(2, axis=2)
    image += rng.normal(scale=rng.uniform(0.0, 3.0), size=(count, height, width, 1))
    return np.rint(image.clip(0, 255)).astype(np.uint8)


def _patch_sums(pixels: np.ndarray) -> np.ndarray:
    """Sums (T, H, W) over patches, shape (T, N)."""
    count = len(pixels)
    return pixels.reshape(count, GRID, PATCH, GRID, PATCH).sum(axis=(2, 4)).reshape(count, -1)


def _coverage(pixels: np.ndarray) -> np.ndarray:
    """Averages (T, H, W) over 2x2 pixels and sorts them by patch, shape (T, N, 16)."""
    count = len(pixels)
    cells = pixels.reshape(count, GRID, 4, 2, GRID, 4, 2).mean(axis=(3, 6))
    return cells.transpose(0, 1, 3, 2, 4).reshape(count, GRID * GRID, CELLS).clip(0.0, 1.0)


def _label(frames: np.ndarray, tracks: list[Track], looks: list[tuple[int, int]]) -> LabelledFrames:
    seen = np.stack([opacity(track) for track in tracks])  # (K, T, H, W)
    for lower in range(len(tracks)):
        for upper in range(lower + 1, len(tracks)):
            seen[lower] *= 1.0 - seen[upper]
    pixels = np.stack([_patch_sums(mask) for mask in seen])  # (K, T, N)
    best = pixels.argmax(axis=0)
    most, total = pixels.max(axis=0), pixels.sum(axis=0)
    is_object, is_background = most >= _OBJECT_PIXELS, total < _BACKGROUND_PIXELS

    def spread(values: list[int]) -> np.ndarray:
        label = np.where(is_object, np.array(values)[best] + 1, IGNORE)
        return np.where(is_background, 0, label)

    first = [looks.index(look) for look in looks]
    xy = np.stack([track.xy for track in tracks])[:, :, None]  # (K, T, 1, 2)
    radii = np.stack([track.radius for track in tracks])[:, :, None]  # (K, T, 1)
    axis = (np.arange(GRID) + 0.5) * PATCH
    centres = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(1, 1, -1, 2)
    offsets = (xy - centres) / PATCH
    offset = np.take_along_axis(offsets, best[None, ..., None], axis=0)[0]
    radius = np.take_along_axis(np.broadcast_to(radii, pixels.shape), best[None], axis=0)[0] / PATCH
    visible = seen.sum(axis=(2, 3)) >= 2 * _OBJECT_PIXELS  # (K, T)
    return LabelledFrames(
        frames=frames,
        owner=spread(first),
        shape=spread([look[1] for look in looks]),
        colour=spread([look[0] for look in looks]),
        offset=np.where(is_object[..., None], offset, 0.0),
        radius=np.where(is_object, radius, 0.0),
        shapes_present=_present(visible, [look[1] for look in looks], len(SHAPES)),
        colours_present=_present(visible, [look[0] for look in looks], len(COLOURS)),
        coverage=_coverage(seen.sum(axis=0)),
        area=seen.sum(axis=(0, 2, 3)) / FRAME_SIZE**2,
    )


def _present(visible: np.ndarray, values: list[int], size: int) -> np.ndarray:
    present = np.zeros((visible.shape[1], size))
    for shown, value in zip(visible, values):
        present[:, value] = np.maximum(present[:, value], shown)
    return present
