"""Pictures of two models side by side: what they retrieve, and what they answer."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from stgt_mm.evaluation.rank import Ranking
from stgt_mm.visualization.panels import GAP, GREY, MARGIN, NORMAL, SMALL, Page

RIGHT, WRONG = '#1a7f37', '#b3261e'
COLUMN, RANK = 3.55, 0.6  # inches: a model, and the words before its clips
LETTERS = 50  # in a line of a column, bold ones too


class Found(NamedTuple):
    """The k best items of n queries."""

    order: Tensor  # (n, k), best first
    right: Tensor  # bool (n, k)
    rank: Tensor  # of the best right item among all, from 1, (n,)


def best_items(ranking: Ranking, k: int) -> Found:
    """Finds the k best items of each query as evaluation ranks them; of equally good ones the first."""
    parts = []
    for _, scores, relevant, tier in ranking.blocks():
        order = scores.argsort(dim=1, descending=True, stable=True)
        if tier is not None:
            order = order.gather(1, tier.gather(1, order).argsort(dim=1, descending=True, stable=True))
        right = relevant.gather(1, order)
        parts.append((order[:, :k], right[:, :k], right.int().argmax(1) + 1))
    return Found(*map(torch.cat, zip(*parts)))


class Hits(NamedTuple):
    """The best items of a query by one model: clips, uint8 (T, 3, H, W), or captions."""

    items: Sequence[Tensor | str]
    right: Sequence[bool]
    rank: int  # of the right one


class Retrieved(NamedTuple):
    """A caption or a clip that is asked with, and the hits of each model."""

    query: Tensor | str
    hits: Sequence[Hits]


def draw_retrieval(queries: Sequence[Retrieved], models: Sequence[str], path: str | Path) -> Path:
    """Draws the hits of models beside each other, what is right in green: Figures 13 and 14."""
    lefts = [MARGIN + place * (COLUMN + 2 * MARGIN) for place in range(len(models))]
    page = Page(lefts[-1] + COLUMN + MARGIN)
    top = MARGIN
    for own in queries:
        if isinstance(own.query, str):
            top = page.text(MARGIN, top, _wrapped(f'Query: {own.query}', len(models)), weight='bold')
        else:
            top = page.strip(MARGIN, top, page.width - 2 * MARGIN, own.query, 8)
        for left, hits in zip(lefts, own.hits, strict=True):
            below = page.text(left, top + GAP, f'right one at rank {hits.rank}', SMALL, color=GREY)
        top = below
        for place in range(len(own.hits[0].items)):
            top = max(_hit(page, left, top + GAP, hits, place) for left, hits in zip(lefts, own.hits))
        top += 2 * MARGIN
    for letter, left, name in zip('abcdefgh', lefts, models):
        page.text(left + COLUMN / 2, top, f'({letter}) {name}', NORMAL + 1, ha='center')
    return page.save(path)


def _hit(page: Page, left: float, top: float, hits: Hits, place: int) -> float:
    item, right = hits.items[place], hits.right[place]
    rank, colour = (f'Rank {place + 1} ✓', RIGHT) if right else (f'Rank {place + 1}', 'black')
    if isinstance(item, str):
        return page.text(left, top, _wrapped(f'{rank}: {item}'), color=colour)
    end = page.strip(left + RANK, top, COLUMN - RANK, item, 4, colour if right else '')
    page.text(left, (top + end) / 2, rank, va='center', color=colour)
    return end


class Answered(NamedTuple):
    """A clip (T, 3, H, W), a question, what each model answers and, where it is known, what is right."""

    frames: Tensor
    question: str
    answers: Sequence[str]
    truth: str | None = None


def draw_answers(asked: Sequence[Answered], models: Sequence[str], path: str | Path) -> Path:
    """Draws questions with the answers of models, in two columns: Figures 10 and 11."""
    columns = min(2, len(asked))
    page = Page(columns * (COLUMN + 2 * MARGIN))
    top = MARGIN
    for start in range(0, len(asked), columns):
        for place, own in enumerate(asked[start : start + columns]):
            _answered(page, MARGIN + place * (COLUMN + 2 * MARGIN), top, own, models)
        top = page.bottom + MARGIN
    return page.save(path)


def _answered(page: Page, left: float, top: float, own: Answered, models: Sequence[str]) -> None:
    top = page.strip(left, top, COLUMN, own.frames, 4) + GAP
    top = page.text(left, top, _wrapped(f'Question: {own.question}'), weight='bold')
    for name, answer in zip(models, own.answers, strict=True):
        mark, colour = (' ✓', RIGHT) if answer == own.truth else (' ✗', WRONG)
        if own.truth is None:
            mark, colour = '', 'black'
        top = page.text(left, top, _wrapped(f'{name}: {answer}{mark}'), color=colour)
    if own.truth is not None:
        page.text(left, top, _wrapped(f'Truth: {own.truth}'), color=GREY)


def _wrapped(text: str, columns: int = 1) -> str:
    return '\n'.join(textwrap.wrap(text, LETTERS * columns))
