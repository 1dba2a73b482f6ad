"""Pictures as clips of one frame."""

import os
from contextlib import suppress

import numpy as np
from PIL import Image, ImageOps

from stgt_mm.datasets.readers.errors import VideoReadError


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Reads a picture; of an animated one, the first frame.

    Args:
        path: JPEG, PNG, WebP or any other file that Pillow knows.

    Returns:
        uint8 array [1, H, W, 3], RGB, turned the way the file says it is shown, transparent parts white.

    Raises:
        VideoReadError: If the file is missing, is no picture, or does not decode to its end.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise VideoReadError(path, 'no such file')
    try:
        with Image.open(path) as image:
            image.load()
            picture = np.asarray(_on_white(_upright(image)))
    # decoders of damaged files raise whatever comes to their mind, struct.error and SyntaxError among them
    except Exception as error:
        raise VideoReadError(path, f'not a picture that can be decoded ({_first_line(error)})') from error
    return picture[None]


def _upright(image: Image.Image) -> Image.Image:
    with suppress(Exception):  # EXIF that cannot be read says nothing about the picture
        return ImageOps.exif_transpose(image)
    return image


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert('RGB')
    image = image.convert('RGBA')
    white = Image.new('RGBA', image.size, 'white')
    return Image.alpha_composite(white, image).convert('RGB')


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
