"""A picture of the benchmark: one row a clip, its sampled frames in order, its caption below."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stgt_mm.moving_shapes.build import clip_frames
from stgt_mm.moving_shapes.meaning import FAMILIES
from stgt_mm.moving_shapes.sets import Benchmark, Clip

_SCALE, _GAP, _TEXT_HEIGHT = 2, 4, 22


def representative_clips(benchmark: Benchmark, count: int) -> list[Clip]:
    """Returns test clips, the families in turn."""
    queues = [[clip for clip in benchmark.of('test') if clip.meaning.family == name] for name in FAMILIES]
    rounds = max(len(queue) for queue in queues)
    clips = [queue[index] for index in range(rounds) for queue in queues if index < len(queue)]
    return clips[:count]


def draw_contact_sheet(benchmark: Benchmark, path: Path, count: int = 9) -> None:
    """Writes a PNG of ``count`` rows: a test clip each, of all families in turn, 8 frames."""
    clips = representative_clips(benchmark, count)
    strips = [clip_frames(clip)[::2] for clip in clips]
    frames, height, width = strips[0].shape[:3]
    cell = width * _SCALE + _GAP
    row = height * _SCALE + _TEXT_HEIGHT + _GAP
    sheet = Image.new('RGB', (frames * cell + _GAP, len(strips) * row + _GAP), 'white')
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    for line, (clip, strip) in enumerate(zip(clips, strips)):
        top = _GAP + line * row
        large = np.repeat(np.repeat(strip, _SCALE, axis=1), _SCALE, axis=2)
        for column, frame in enumerate(large):
            sheet.paste(Image.fromarray(frame), (_GAP + column * cell, top))
        draw.text((_GAP + 2, top + height * _SCALE + 2), clip.text, fill='black', font=font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)
