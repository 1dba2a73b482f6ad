"""What an index was made from: embeddings of two models cannot be compared, and nothing would show it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from stgt_mm.errors import UserError
from stgt_mm.io.hashing import config_sha256, state_sha256

VERSION = 1
# where weights come from and what reads text say nothing of how a video is encoded
_NOT_OF_VIDEOS = ('checkpoint', 'pretrained', 'tokenizer', 'vocab')
_COMPARED = {
    'weights': 'weights',
    'options': 'options of the model',
    'preprocessing': 'preprocessing of the frames',
    'precision': 'precision',
    'version': 'form of the index',
}


class IndexMismatchError(UserError):
    """An index that was made by another model, or in another way; the message says in what they differ."""


def made_from(
    model: nn.Module, options: Mapping[str, Any], pipeline: Sequence[Any], precision: str, name: str
) -> dict[str, Any]:
    """Describes what embeddings of videos depend on, as plain values.

    ``options`` is the model's config, ``pipeline`` the transforms; ``name`` is for people and not compared.
    """
    on_frames = [repr(step) for step in pipeline if getattr(step, 'on_frames', True)]
    return {
        'version': VERSION,
        'name': name,
        'weights': state_sha256(model),
        'options': config_sha256(_of_videos(options)),
        'preprocessing': ' '.join(on_frames),
        'precision': precision,
    }


def _of_videos(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _of_videos(value) for key, value in node.items() if key not in _NOT_OF_VIDEOS}
    return [_of_videos(value) for value in node] if isinstance(node, (list, tuple)) else node


def check_made_from(
    known: Mapping[str, Any] | None, mine: Mapping[str, Any], where: str, remedy: str
) -> None:
    """Stops if an index was not made from the same."""
    if known is None:
        raise IndexMismatchError(f"'{where}' does not say what made it: not an index of stgt_mm. {remedy}")
    differ = [
        f'{words}: {_short(known.get(key))} there, {_short(mine[key])} here'
        for key, words in _COMPARED.items()
        if known.get(key) != mine[key]
    ]
    if differ:
        raise IndexMismatchError(
            f"the index '{where}' was made with {known.get('name')}, which is not {mine['name']}:\n  "
            + '\n  '.join(differ)
            + f'\nIts embeddings cannot be compared with those of this model. {remedy}'
        )


def _short(value: Any) -> str:
    text = str(value)
    return text[:16] if len(text) == 64 and ' ' not in text else text


def file_stamp(path: str, windows: tuple[float, float] | None) -> str:
    """Says what a file is, by size and time, and how it is cut; an OSError if it is not there."""
    facts = os.stat(path)
    how = 'whole' if windows is None else f'{windows[0]:g}/{windows[1]:g} s'
    return f'{facts.st_size} {facts.st_mtime_ns} {how}'
