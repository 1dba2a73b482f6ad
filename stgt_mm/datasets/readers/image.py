"""Pictures as clips of one frame."""

import os
from contextlib import suppress

import numpy as np
from PIL import Image, ImageOps

from stgt_mm.datasets.readers.errors import VideoReadError
from stgt_mm.datasets.readers.shards import is_member, read_member


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Reads a picture that Pillow knows, of an animated one the first frame, as uint8 [1, H, W, 3], RGB.

    It is turned the way the file says it is shown, and transparent parts are white. Raises
    ``VideoReadError`` if the file is missing, is no picture, or does not decode to its end.
    """
    path = os.fspath(path)
    source = read_member(path) if is_member(path) else path
    if source is path and not os.path.isfile(path):
        raise VideoReadError(path, 'no such file')
    try:
        with Image.open(source) as image:
            image.load()
            with suppress(Exception):  # EXIF that cannot be read says nothing about the picture
                image = ImageOps.exif_transpose(image)
            if image.has_transparency_data:
                image = image.convert('RGBA')
                image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
            return np.asarray(image.convert('RGB'))[None]
    # decoders of damaged files raise whatever comes to their mind, struct.error and SyntaxError among them
    except Exception as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise VideoReadError(path, f'not a picture that can be decoded ({why})') from error
