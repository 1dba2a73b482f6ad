"""A page of a figure laid out in inches from its top left corner, and what is put on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from stgt_mm.visualization.curves import new_figure, save_figure

DOTS = 200  # an inch
TALLEST = 60.0  # inches; what is not used is cut off
TINY, SMALL, NORMAL = 6, 7, 8  # points, in a figure as wide as a page of two columns
GAP, MARGIN = 0.04, 0.08
EDGE, LABELS, BAR = 0.05, 1.2, 0.4  # inches beside the frames of a row
GREY = '0.45'
# Colours with opacity: a share of 0 leaves the picture as it is.
SHARE = ('#ffd54f00', '#ff9800c0', '#e53935e6', '#8e0038ff', '#2d0022ff')
COSINE = ('#08519cd9', '#6baed6c8', '#f7f7f7b0', '#fb6a4ac8', '#a50f15d9')


class Page:
    """A figure, ``width`` in inches, whose parts have places of their own: nothing moves or overlaps."""

    def __init__(self, width: float) -> None:
        self.width, self.bottom = width, 0.0
        self.figure = new_figure(width, TALLEST)
        self.figure.set_layout_engine('none')

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        """Adds axes whose top left corner is at (x, y)."""
        self.bottom = max(self.bottom, y + height)
        place = (x / self.width, 1 - (y + height) / TALLEST, width / self.width, height / TALLEST)
        return self.figure.add_axes(place, xticks=[], yticks=[])

    def text(self, x: float, y: float, words: str, size: float = NORMAL, **options: Any) -> float:
        """Writes words as they stand, by default downwards from y, and returns where they end."""
        options = {'va': 'top', 'parse_math': False, **options}
        self.figure.text(x / self.width, 1 - y / TALLEST, words, fontsize=size, **options)
        end = y + (words.count('\n') + 1) * size * 1.25 / 72
        self.bottom = max(self.bottom, end if options['va'] == 'top' else y)
        return end

    def picture(self, x: float, y: float, width: float, frame: Tensor, look: str = 'full') -> Any:
        """Puts a frame, uint8 (3, H, W), there: 'full', or 'pale' or 'grey' to draw over it."""
        axes = self.axes(x, y, width, width / aspect(frame))
        pixels = np.moveaxis(frame.numpy(), 0, -1) / 255
        if look == 'grey':
            pixels = np.repeat(pixels @ [[0.299], [0.587], [0.114]], 3, axis=2)
        if look != 'full':
            pixels = 0.5 + 0.5 * pixels
        smooth = 'nearest' if pixels.shape[1] < 100 else 'antialiased'
        axes.imshow(pixels, extent=(0, 1, 1, 0), interpolation=smooth)
        axes.set(aspect='auto', xlim=(0, 1), ylim=(1, 0))
        axes.spines[:].set(linewidth=0.4, color=GREY)
        return axes

    def strip(self, x: float, y: float, width: float, frames: Tensor, count: int, edge: str = '') -> float:
        """Puts ``count`` frames, spread over a clip, side by side; returns where they end.

        ``edge`` is the colour of a line around them.
        """
        count = min(count, len(frames))
        each = (width - GAP * (count - 1)) / count
        for place, index in enumerate(np.linspace(0, len(frames) - 1, count).round().astype(int)):
            self.picture(x + place * (each + GAP), y, each, frames[index])
        if edge:
            border = self.axes(x, y, width, each / aspect(frames))
            border.patch.set_visible(False)
            border.spines[:].set(linewidth=2, color=edge)
        return y + each / aspect(frames)

    def colour_bar(self, x: float, y: float, height: float, drawn: Any) -> None:
        """Puts the colours of what was drawn beside a row, with the lowest, middle and highest value."""
        axes = self.axes(x, y, 0.07, height)
        low, high = drawn.get_clim()
        bar = self.figure.colorbar(drawn, cax=axes, ticks=[low, (low + high) / 2, high])
        bar.set_ticklabels([f'{value:.2g}' for value in (low, (low + high) / 2, high)])
        bar.outline.set_linewidth(0.4)
        axes.tick_params(labelsize=TINY, width=0.4, length=2, pad=1.5)
        for label, place in zip(axes.get_yticklabels(), ('bottom', 'center', 'top')):
            label.set_verticalalignment(place)  # within the row: bars stand close above each other

    def save(self, path: str | Path) -> Path:
        """Writes what is used of the page as a PNG file."""
        from matplotlib.transforms import Bbox

        used = Bbox([[0, TALLEST - self.bottom - GAP], [self.width, TALLEST]])
        return save_figure(self.figure, path, dpi=DOTS, bbox_inches=used)


def aspect(frames: Tensor) -> float:
    """Returns width over height of frames (..., H, W)."""
    return frames.shape[-1] / frames.shape[-2]


def overlay(axes: Any, values: Tensor, high: float | None = None) -> Any:
    """Draws values (Gh, Gw) of the patches over a picture, NaN not at all.

    They are shares from 0, not seen, to ``high``; without it cosines from -1 to 1.
    """
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list('', SHARE if high else COSINE)
    low, high = (0, high) if high else (-1, 1)
    place = {'extent': (0, 1, 1, 0), 'aspect': 'auto', 'interpolation': 'nearest'}
    return axes.imshow(values.numpy(), colours, vmin=low, vmax=high, **place)


class Rows:
    """Rows of all frames of a clip, a label at the left and a colour bar at the right of each."""

    def __init__(self, frames: Tensor, titles: Sequence[str], top: float = 0.22) -> None:
        self.frames, self.top = frames, top
        self.size = max(0.6, min(1.1, 7.2 / len(frames)))
        self.lefts = [LABELS + number * (self.size + GAP) for number in range(len(frames) + 1)]
        self.page = Page(self.lefts[-1] + BAR)
        for left, title in zip(self.lefts, titles):
            self.page.text(left + self.size / 2, top - 0.04, title, SMALL, ha='center', va='bottom')

    def row(self, label: str, look: str) -> list[Any]:
        """Adds a row of frames and returns their axes."""
        height = self.size / aspect(self.frames)
        self.page.text(EDGE, self.top + height / 2, label, va='center', parse_math=True)
        frames = zip(self.lefts, self.frames)
        panels = [self.page.picture(left, self.top, self.size, frame, look) for left, frame in frames]
        self.top += height + GAP
        return panels

    def shares(self, label: str, values: Tensor) -> list[Any]:
        """Adds a row with values (T, Gh, Gw) from 0 to their largest."""
        return self._map(self.row(label, 'pale'), values, float(values.max()))

    def cosines(self, label: str, values: Tensor) -> list[Any]:
        """Adds a row with values (T, Gh, Gw) from -1 to 1."""
        return self._map(self.row(label, 'grey'), values)

    def _map(self, panels: list[Any], values: Tensor, high: float | None = None) -> list[Any]:
        drawn = [overlay(panel, own, high) for panel, own in zip(panels, values, strict=True)]
        height = self.size / aspect(self.frames)
        self.page.colour_bar(self.lefts[-1] + 0.02, self.top - height - GAP, height, drawn[0])
        return panels
