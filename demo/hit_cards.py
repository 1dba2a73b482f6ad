"""HTML of the web page: players and the hits of a search."""

from html import escape
from typing import Any
from urllib.parse import quote

from search import clock

CSS = """
.hits { display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: 14px }
.hits article { border: 1px solid var(--border-color-primary); border-radius: 8px; padding: 8px }
.hits p { margin: 4px 0; font-size: 13px; overflow-wrap: anywhere }
.hits button { border-radius: 6px; padding: 2px 10px; font-weight: normal }
.hits video, .player video { width: 100%; aspect-ratio: 4 / 3; object-fit: contain; background: #000 }
"""
# a click on the button of a hit tells the page its clip
PICK = """element.addEventListener('click', event => {
  const button = event.target.closest('[data-clip]');
  if (button) trigger('click', {clip: button.dataset.clip});
});"""


def player(name: str, start: float = 0.0, end: float | None = None) -> str:
    """Writes a video that plays from a moment, to its end if that is known."""
    moment = f'#t={start:.3f}' + ('' if end is None else f',{end:.3f}')
    return f'<video controls muted preload="auto" src="/clips/{quote(name)}{moment}"></video>'


def card(place: int, name: str, hit: Any) -> str:
    """Writes a hit: its video, name, time and scores."""
    matching = '' if hit.matching is None else f', match {hit.matching:.3f}'
    return (
        f'<article>{player(name, hit.start, hit.end)}<p><b>{place}. {escape(name)}</b></p>'
        f'<p>{clock(hit.start)} to {clock(hit.end)}</p>'
        f'<p>score {hit.score:.3f} (similarity {hit.similarity:.3f}{matching})</p>'
        f'<button data-clip="{escape(name)}">use this clip</button></article>'
    )
