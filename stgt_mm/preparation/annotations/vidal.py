"""VIDAL-10M: one large JSON object, an entry a video, several captions in each."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.common import NO_WORD, Notes, bar, has_word
from stgt_mm.preparation.annotations.downloaded import Layout
from stgt_mm.preparation.annotations.reading import existing, value_of
from stgt_mm.utils import did_you_mean

CAPTIONS = ('polish_mplug', 'mplug', 'sound_mplug', 'raw', 'ofa')
LAYOUTS = {'folders': '{folder}/{youtube_id}.mp4', 'flat': '{youtube_id}.mp4'}
WITHOUT = 'entries without the caption, left out'
BLOCK = 1 << 20
LARGEST_ENTRY = 1 << 24


def vidal_records(
    path: str | Path, notes: Notes, caption: str = 'polish_mplug', layout: str = 'folders'
) -> Iterator[dict[str, Any]]:
    """Reads ``id2title_folder_caption.json`` and its like, entry by entry.

    Source: Zhu et al., LanguageBind, ICLR 2024 (the data set).

    Args:
        path: ``{youtube_id: {"folder", "polish_mplug", "mplug", "sound_mplug", "raw", "ofa": [8 texts]}}``.
        notes: Where entries without this caption are counted.
        caption: Which one: a member of :data:`CAPTIONS`; ``'ofa'`` gives a record for each different one of a
            list.
        layout: Where a video lies below its root: a key of :data:`LAYOUTS`, or a pattern of ``{folder}`` and
            ``{youtube_id}``.

    Yields:
        Records with ``video`` and ``text``; those of one video follow each other.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the caption or a field of the layout is unknown.
        AnnotationError: If the file is not such an object, or an entry is not as described.
    """
    if caption not in CAPTIONS:
        raise ValueError(f"no caption is called '{caption}'. {did_you_mean(caption, CAPTIONS)}")
    name = Layout(layout, {'folder': 'new_1', 'youtube_id': 'LbxMRY4_W10'}, LAYOUTS)
    foldered = '{folder' in name.pattern
    for where, key, entry in bar(read_entries(path), Path(path).name):
        folder = value_of(entry, 'folder', where) if foldered else ''
        given = value_of(entry, caption, where, str, list, type(None)) if caption in entry else None
        if not given:
            notes.add(WITHOUT, where)
            continue
        video = name.path(folder=folder.strip('/'), youtube_id=key)
        for text in dict.fromkeys(_text(one, caption, where) for one in _listed(given)):
            if has_word(text):
                yield {'video': video, 'text': text}
            else:
                notes.add(NO_WORD, f'{where} {text!r}')


def _listed(given: str | list[Any]) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _text(value: Any, caption: str, where: str) -> str:
    if not isinstance(value, str):
        raise AnnotationError(f"{where}: '{caption}' holds {value!r}, a text was expected. Correct it.")
    return ' '.join(value.split())


def read_entries(path: str | Path, block: int = BLOCK) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Reads a JSON object of objects entry by entry: as a whole, ten million of them take tens of gigabytes.

    Args:
        path: UTF-8 file.
        block: Characters read at once.

    Yields:
        Triples (file, line and key for messages; key; entry).

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If the file is not UTF-8, not such an object, or cut off.
    """
    path = existing(path)
    with path.open(encoding='utf-8-sig') as file:
        scanner = _Scanner(file, path, block)
        try:
            if scanner.peek() == '[':
                raise AnnotationError(
                    f'{path}:{scanner.line}: holds a list, an object {{youtube_id: {{...}}}} was expected. '
                    'Is this the right file? That of the captions is called id2title_folder_caption.json.'
                )
            scanner.expect('{', 'an object {youtube_id: {...}} was expected')
            if scanner.peek() == '}':
                raise AnnotationError(f"'{path}' holds no entry. Fetch the file again.")
            more = True
            while more:
                key = scanner.value(str)
                scanner.expect(':', f'after "{key}"')
                line = scanner.line
                entry = scanner.value(dict, f', "{key}"')
                yield f'{path}:{line}, "{key}"', key, entry
                more = scanner.expect(',}', f'after the entry "{key}"') == ','
        except UnicodeDecodeError as error:
            raise AnnotationError(
                f'{path}:{scanner.line}: not UTF-8 behind it. Fetch the file again.'
            ) from error


class _Scanner:
    """Takes JSON values from a file, holding a block and the value begun.

    Args:
        file: Text file.
        path: Its name, for messages.
        block: Characters read at once.
    """

    def __init__(self, file: IO[str], path: Path, block: int) -> None:
        self.file, self.path, self.block = file, path, block
        self.line = 1
        self._held, self._place, self._ended = '', 0, False
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """Returns the next character that is not white space, an empty text at the end."""
        while True:
            while self._place < len(self._held):
                if not self._held[self._place].isspace():
                    return self._held[self._place]
                self.line += self._held[self._place] == '\n'
                self._place += 1
            if not self._read():
                return ''

    def expect(self, choices: str, what: str) -> str:
        """Takes one of some characters."""
        found = self.peek()
        if not found or found not in choices:
            raise self._error(
                f'{what}: expected {" or ".join(choices)}, there is {found or "the end of the file"!r}'
            )
        self._place += 1
        return found

    def value(self, kind: type, what: str = '') -> Any:
        """Takes a value of a type; ``what`` follows the line in the message about one of another type."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self._place)
            except json.JSONDecodeError as error:
                if len(self._held) - self._place < LARGEST_ENTRY and self._read():
                    continue
                raise self._error(error.msg) from error
            if not isinstance(value, kind):
                wanted = 'a text' if kind is str else 'an object {"folder": ..., "mplug": ..., ...}'
                raise AnnotationError(
                    f'{self.path}:{self.line}{what}: {json.dumps(value)[:80]} stands where {wanted} was '
                    'expected. Correct it.'
                )
            self.line += self._held.count('\n', self._place, end)
            self._place = end
            return value

    def _read(self) -> bool:
        more = '' if self._ended else self.file.read(self.block)
        self._ended = not more
        self._held = self._held[self._place :] + more
        self._place = 0
        return bool(more)

    def _error(self, why: str) -> AnnotationError:
        near = self._held[self._place : self._place + 60]
        return AnnotationError(
            f'{self.path}:{self.line}: not the JSON of VIDAL-10M ({why}) near {near!r}. Fetch the file '
            'again: it may be cut off, or a web page.'
        )
