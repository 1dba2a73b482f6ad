"""Pictures of S-ViLM's structure: the regions of noun phrases, and the pasted segment of a blended clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from stgt_mm.visualization.panels import GAP, GREY, LABELS, SMALL, TINY, Rows

REGION, FOREGROUND = '#e6194b', '#ff9800'
CURVES = ('#1f5fd6', '#2ca02c', '#911eb4')
PLOT = 0.9  # inches


def draw_grounding(
    frames: Tensor, titles: Sequence[str], phrases: Mapping[str, Tensor], path: str | Path
) -> Path:
    """Draws the region of each noun phrase, bool (T, H, W), in a clip, uint8 (T, 3, H, W): Figure 4."""
    sheet = Rows(frames, titles)
    sheet.row('the clip', 'full')
    for phrase, region in phrases.items():
        for panel, own in zip(sheet.row(phrase.replace(' ', '\n'), 'full'), region.numpy(), strict=True):
            _show_region(panel, own)
    return sheet.page.save(path)


def _show_region(panel: Any, region: np.ndarray) -> None:
    """Fades what is outside of a region (H, W), and draws a line around it."""
    veil = np.ones((*region.shape, 4))
    veil[..., 3] = np.where(region, 0, 0.75)
    panel.imshow(veil, extent=(0, 1, 1, 0), aspect='auto', interpolation='nearest')
    if region.any() and not region.all():
        height, width = region.shape
        x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
        panel.contour(x, y, region.astype(float), levels=[0.5], colors=[REGION], linewidths=1)


def draw_segment(
    frames: Tensor, titles: Sequence[str], mask: Tensor, curves: Mapping[str, Tensor], path: str | Path
) -> Path:
    """Draws a blended clip, uint8 (T, 3, H, W), and below it the true segment and what was found: Figure 5.

    ``mask`` (T') is 1 at the segment, ``curves`` are foreground probabilities (T') by name; T is a multiple
    of T'. Frames of the segment have a line around them.
    """
    sheet = Rows(frames, titles)
    steps = len(mask)
    for number, panel in enumerate(sheet.row('blended clip', 'full')):
        if mask[number * steps // len(frames)] > 0:
            panel.spines[:].set(linewidth=2, color=FOREGROUND)
    page, width = sheet.page, sheet.lefts[-1] - GAP - LABELS
    page.text(0.05, sheet.top + 0.1, 'truth', color=FOREGROUND)
    axes = page.axes(LABELS, sheet.top + GAP, width, PLOT)
    edges = np.arange(steps + 1)
    axes.stairs(mask.numpy(), edges, fill=True, color=FOREGROUND, alpha=0.3, linewidth=0)
    for place, ((name, curve), colour) in enumerate(zip(curves.items(), CURVES)):
        look = {'linestyle': ('-', '--')[place % 2], 'marker': 'o', 'markersize': 4 - place, 'linewidth': 1}
        axes.plot(edges[:-1] + 0.5, curve.numpy(), color=colour, **look)
        page.text(0.05, sheet.top + 0.28 + 0.3 * place, name, SMALL, color=colour, parse_math=True)
    axes.axhline(0.5, color=GREY, linewidth=0.5, linestyle=':')
    axes.spines[:].set(linewidth=0.4, color=GREY)
    axes.set(xlim=(0, steps), ylim=(-0.05, 1.05), yticks=[0, 1])
    axes.tick_params(labelsize=TINY, width=0.4, length=2, pad=1.5)
    page.text(LABELS, sheet.top + GAP + PLOT, ' ', TINY)  # room for the last label
    return page.save(path)
