"""Pictures of the graph: links and attention of a token over the frames, at several h; max-pooling."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stgt_mm.visualization.panels import BAR, EDGE, GAP, GREY, LABELS, TINY, Page, Rows, aspect, overlay
from stgt_mm.visualization.token_view import Sampling, TokenView

TOKEN, LINK = '#ffe119', '#e6194b'
OF_COLUMN, OF_ROW = '#1f5fd6', '#2ca02c'


def draw_links(view: TokenView, frames: Tensor, titles: Sequence[str], path: str | Path) -> Path:
    """Draws what a token sees of a clip, frames uint8 (T, 3, H, W) with a title each: Figure 8.

    Frames that it may not be linked with are faded where links count.
    """
    weights = view.similarity.masked_fill(~view.linked, float('nan'))
    h = '' if view.threshold is None else f'\n$h = {view.threshold:g}$'
    sheet = Rows(frames, titles)
    rows = [
        sheet.shares('(a)  attention\nwithout the graph', view.without_graph),
        sheet.shares('(b)  attention\nof [CLS]', view.cls),
        sheet.row('(c)  the token', 'full'),
        sheet.cosines('(d)  similarity\nwith the token', view.similarity),
        sheet.row(f'(e)  links $A${h}', 'pale'),
        sheet.cosines('(f)  weights $W_s$\nof the links', weights),
        sheet.shares('(g)  attention\nwith the graph', view.attention),
    ]
    _dots(rows[4], view.linked)
    for place, panels in enumerate(rows):
        _mark(panels[view.token[0]], view)
        for number, panel in enumerate(panels):
            if place > 3 and not view.window[0] <= number < view.window[1]:
                panel.axvspan(0, 1, color='white', alpha=0.75, linewidth=0)
    return sheet.page.save(path)


def draw_thresholds(
    views: Sequence[Sequence[TokenView]], frames: Tensor, titles: Sequence[str], path: str | Path
) -> Path:
    """Draws links and attention of tokens, each at several h, in the frames that they may see: Figure 15."""
    spans = [max(view.window[1] - view.window[0] for view in own) for own in zip(*views)]
    size = max(0.5, min(0.85, 7.2 / sum(spans)))
    line = size / aspect(frames) + GAP
    lefts = [LABELS + sum(spans[:place]) * (size + GAP) + place * 0.1 for place in range(len(spans) + 1)]
    page = Page(lefts[-1] + BAR - 0.1)
    for place, own in enumerate(views):
        head = 0.06 + place * (2 * line + 0.45)
        top = head + 0.33
        frame, row, column = own[0].token
        page.text(EDGE, head, f'token {place + 1}')
        page.text(EDGE, head + 0.17, f'{titles[frame]}, row {row}, col. {column}', TINY, color=GREY)
        for label, below in (('links', 0.5), ('attention', 1.5)):
            page.text(EDGE, top + below * line, label, va='center')
        high = max(float(view.attention.max()) for view in own)
        for view, left in zip(own, lefts):
            words = f'$h = {view.threshold:g}$,  {int(view.linked.sum())} links'
            page.text(left, head, words, parse_math=True)
            for number in range(*view.window):
                x = left + (number - view.window[0]) * (size + GAP)
                page.text(x + size / 2, head + 0.17, titles[number], TINY, ha='center', color=GREY)
                links = page.picture(x, top, size, frames[number], 'pale')
                heat = page.picture(x, top + line, size, frames[number], 'pale')
                _dots([links], view.linked[number : number + 1])
                drawn = overlay(heat, view.attention[number], high)
                if number == frame:
                    _mark(links, view)
                    _mark(heat, view)
        page.colour_bar(lefts[-1] - 0.1, top + line, line - GAP, drawn)
    return page.save(path)


def draw_pooling(sampling: Sampling, frames: Tensor, titles: Sequence[str], path: str | Path) -> Path:
    """Draws where max-pooling samples each frame: mean places over the channels, and shares: Figure 9."""
    sheet = Rows(frames, titles, top=0.42)
    sheet.page.text(LABELS, 0.03, '●  maximum of a column (along y)', color=OF_COLUMN)
    sheet.page.text(LABELS + 2.4, 0.03, '■  maximum of a row (along x)', color=OF_ROW)
    rows, columns = (torch.arange(size, dtype=torch.float32) for size in sampling.rows.shape[1:])
    panels = sheet.row('mean places\nover the channels', 'pale')
    for panel, of_columns, of_rows in zip(panels, sampling.columns, sampling.rows, strict=True):
        _points(panel, rows @ of_columns, columns, of_rows.shape, s=9, c=OF_COLUMN, marker='o')
        _points(panel, rows, of_rows @ columns, of_rows.shape, s=9, c=OF_ROW, marker='s')
    sheet.shares('share of channels\nwith the maximum\nof the column', sampling.columns)
    sheet.shares('share of channels\nwith the maximum\nof the row', sampling.rows)
    return sheet.page.save(path)


def _points(panel: Any, rows: Tensor, columns: Tensor, grid: Sequence[int], **look: Any) -> None:
    """Draws points at the centres of patches, whose rows and columns may lie between two."""
    edge = {'linewidths': 0.4, 'edgecolors': 'white'}
    panel.scatter((columns + 0.5) / grid[1], (rows + 0.5) / grid[0], **edge, **look)


def _dots(panels: Sequence[Any], linked: Tensor) -> None:
    """Draws a dot at each linked patch, (n, Gh, Gw)."""
    grid = linked.shape[1:]
    for panel, own in zip(panels, linked, strict=True):
        _points(panel, *own.nonzero().T, grid, s=max(4, 90 / max(grid)), c=LINK)


def _mark(panel: Any, view: TokenView) -> None:
    """Draws a line around the patch of the token."""
    _, row, column = view.token
    rows, columns = view.linked.shape[1:]
    x = [place / columns for place in (column, column + 1, column + 1, column, column)]
    y = [place / rows for place in (row, row, row + 1, row + 1, row)]
    panel.plot(x, y, color='black', linewidth=2.0, clip_on=False)
    panel.plot(x, y, color=TOKEN, linewidth=1.2, clip_on=False)
