"""VIDAL-10M: one large JSON object, an entry a video, several captions in each.

Source: Zhu et al., "LanguageBind" (ICLR 2024).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.conversion import layout_pattern
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.reading import annotation_path, value_of
from stgt_mm.progress import track
from stgt_mm.utils import did_you_mean

CAPTIONS = ('polish_mplug', 'mplug', 'sound_mplug', 'raw', 'ofa')
LAYOUTS = {'folders': '{folder}/{youtube_id}.mp4', 'flat': '{youtube_id}.mp4'}
FIELDS = {'folder': 'new_1', 'youtube_id': 'LbxMRY4_W10'}
WITHOUT = 'entries without the caption, left out'
BLOCK = 1 << 20
LARGEST_ENTRY = 1 << 24
_SPACE = re.compile(r'\s*')


def vidal_records(
    path: str | Path, notes: Notes, caption: str = 'polish_mplug', layout: str = 'folders'
) -> Iterator[dict[str, Any]]:
    """Yields records of ``id2title_folder_caption.json`` and its like; those of one video follow each other.

    It is ``{youtube_id: {"folder", "polish_mplug", "mplug", "sound_mplug", "raw", "ofa": [8 texts]}}``; the
    caption ``'ofa'`` gives a record for each different one of a list.
    """
    if caption not in CAPTIONS:
        raise ValueError(f"no caption is called '{caption}'. {did_you_mean(caption, CAPTIONS)}")
    pattern = layout_pattern(layout, LAYOUTS, FIELDS)
    for place, key, entry in track(read_entries(path), Path(path).name):
        folder = value_of(entry, 'folder', place) if '{folder' in pattern else ''
        given = value_of(entry, caption, place, str, list, type(None)) if caption in entry else None
        if not given:
            notes.add(WITHOUT, place)
            continue
        texts = given if isinstance(given, list) else [given]
        for text in texts:
            if not isinstance(text, str):
                raise AnnotationError(
                    f"{place}: '{caption}' holds {text!r}, a text was expected. Correct it."
                )
        video = pattern.format(folder=folder.strip('/'), youtube_id=key)
        for text in dict.fromkeys(' '.join(text.split()) for text in texts):
            if notes.accepts(text, f'{place} {text!r}'):
                yield {'video': video, 'text': text}


def read_entries(path: str | Path, block: int = BLOCK) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Reads a JSON object of objects entry by entry: as a whole, ten million of them take tens of gigabytes.

    Yields file, line and key for messages; the key; the entry. ``block`` characters are read at once.
    """
    path = annotation_path(path)
    with path.open(encoding='utf-8-sig') as file:
        scanner = _Scanner(file, path, block)
        try:
            if scanner.peek() == '[':
                raise AnnotationError(
                    f'{path}:{scanner.line}: holds a list, an object {{youtube_id: {{...}}}} was expected. '
                    'Is this the right file? That of the captions is called id2title_folder_caption.json.'
                )
            scanner.take('{', 'an object {youtube_id: {...}} was expected')
            if scanner.peek() == '}':
                raise AnnotationError(f"'{path}' holds no entry. Fetch the file again.")
            more = True
            while more:
                key = scanner.take_value(str)
                scanner.take(':', f'after "{key}"')
                line = scanner.line
                entry = scanner.take_value(dict, f', "{key}"')
                yield f'{path}:{line}, "{key}"', key, entry
                more = scanner.take(',}', f'after the entry "{key}"') == ','
        except UnicodeDecodeError as error:
            raise AnnotationError(
                f'{path}:{scanner.line}: not UTF-8 behind it. Fetch the file again.'
            ) from error


class _Scanner:
    """Takes JSON values from a file, holding a block and the value begun.

    Ours, because ijson knows neither the line nor the key at which something is wrong.
    """

    def __init__(self, file: IO[str], path: Path, block: int) -> None:
        self.file, self.path, self.block = file, path, block
        self.line = 1
        self._text, self._position = '', 0
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """Returns the next character that is not white space, an empty text at the end."""
        while True:
            self._pass(_SPACE.match(self._text, self._position).end())
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._read_on():
                return ''

    def take(self, expected: str, what: str) -> str:
        """Takes one of some characters."""
        found = self.peek()
        if not found or found not in expected:
            raise self._error(
                f'{what}: expected {" or ".join(expected)}, there is {found or "the end of the file"!r}'
            )
        self._position += 1
        return found

    def take_value(self, kind: type, what: str = '') -> Any:
        """Takes a value of a type; ``what`` follows the line in the message about one of another type."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._position)
                break
            except json.JSONDecodeError as error:
                # the value may go on in the next block
                if len(self._text) - self._position >= LARGEST_ENTRY or not self._read_on():
                    raise self._error(error.msg) from error
        if not isinstance(value, kind):
            wanted = 'a text' if kind is str else 'an object {"folder": ..., "mplug": ..., ...}'
            raise AnnotationError(
                f'{self.path}:{self.line}{what}: {json.dumps(value)[:80]} stands where {wanted} was '
                'expected. Correct it.'
            )
        self._pass(end)
        return value

    def _pass(self, end: int) -> None:
        self.line += self._text.count('\n', self._position, end)
        self._position = end

    def _read_on(self) -> bool:
        more = self.file.read(self.block)
        self._text = self._text[self._position :] + more
        self._position = 0
        return bool(more)

    def _error(self, why: str) -> AnnotationError:
        near = self._text[self._position : self._position + 60]
        return AnnotationError(
            f'{self.path}:{self.line}: not the JSON of VIDAL-10M ({why}) near {near!r}. Fetch the file '
            'again: it may be cut off, or a web page.'
        )
