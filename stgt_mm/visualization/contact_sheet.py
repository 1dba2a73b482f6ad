"""A picture of clips: a row of frames each, its words below."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stgt_mm.io.whole_file import whole_file

MARGIN = 8
LINE = 1.35


def contact_sheet(
    clips: Sequence[Tensor | np.ndarray],
    texts: Sequence[str],
    path: str | Path,
    frame_width: int = 160,
    font_size: int = 14,
) -> Path:
    """Draws clips, uint8, shape (T, 3, H, W) each, as rows of frames with a text below, into a picture file.

    Small frames are enlarged without smoothing, so that what is seen is what the model gets. Sizes are in
    pixels. Line breaks of the texts are kept, long lines are wrapped.
    """
    if len(clips) != len(texts) or not clips:
        raise ValueError(f'{len(clips)} clips and {len(texts)} texts: give as many, and at least one.')
    font = ImageFont.load_default(size=font_size)
    frames = [_frames(clip, frame_width) for clip in clips]
    width = max(sum(frame.width + 2 for frame in row) for row in frames) + 2 * MARGIN
    columns = max(20, int((width - 2 * MARGIN) / (0.55 * font_size)))
    words = [
        [part for row in text.split('\n') for part in textwrap.wrap(row, columns) or ['']] for text in texts
    ]
    line = round(font_size * LINE)
    heights = [row[0].height + MARGIN // 2 + line * len(text) + MARGIN for row, text in zip(frames, words)]
    sheet = Image.new('RGB', (width, sum(heights) + MARGIN), 'white')
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for row, text, height in zip(frames, words, heights, strict=True):
        for place, frame in enumerate(row):
            sheet.paste(frame, (MARGIN + place * (frame.width + 2), top))
        below = top + row[0].height + MARGIN // 2
        draw.text((MARGIN, below), '\n'.join(text), fill='black', font=font, spacing=2)
        top += height
    path = Path(path)
    with whole_file(path) as partial:
        sheet.save(partial)
    return path


def _frames(clip: Tensor | np.ndarray, width: int) -> list[Image.Image]:
    array = np.asarray(clip)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1] != 3 or 0 in array.shape:
        raise ValueError(f'a clip must be uint8 (T, 3, H, W), not {array.dtype} {array.shape}.')
    pictures = [Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0))) for frame in array]
    height = max(1, round(array.shape[2] * width / array.shape[3]))
    enlarge = width > array.shape[3]
    method = Image.Resampling.NEAREST if enlarge else Image.Resampling.BICUBIC
    return [picture.resize((width, height), method) for picture in pictures]
