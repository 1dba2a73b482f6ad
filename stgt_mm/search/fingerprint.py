"""The origin of an index: embeddings of two models cannot be compared, and nothing would show it."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from stgt_mm.errors import UserError
from stgt_mm.io.hashing import config_sha256, state_sha256
from stgt_mm.search.windows import Windows

VERSION = 1
# where weights come from and what reads text say nothing of how a video is encoded
_NOT_OF_VIDEOS = ('checkpoint', 'pretrained', 'tokenizer')


class IndexMismatchError(UserError):
    """An index that was made by another model, or in another way; the message says in what they differ."""


def made_from(
    model: nn.Module, options: Mapping[str, Any], pipeline: Sequence[Any], precision: str
) -> dict[str, str | int]:
    """Describes what embeddings of videos depend on; ``options`` is the config of the model."""
    on_frames = [repr(step) for step in pipeline if getattr(step, 'on_frames', True)]
    colours = [getattr(model.data_preprocessor, name).flatten().tolist() for name in ('mean', 'std')]
    return {
        'version of the index': VERSION,
        'weights': state_sha256(model)[:16],
        'options of the model': config_sha256(_of_videos(options))[:16],
        'preprocessing': ' '.join([*on_frames, *map(str, colours)]),
        'precision': precision,
    }


def _of_videos(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _of_videos(value) for key, value in node.items() if key not in _NOT_OF_VIDEOS}
    return [_of_videos(value) for value in node] if isinstance(node, (list, tuple)) else node


def check_made_from(
    known: Mapping[str, Any] | None, mine: Mapping[str, Any], where: str, remedy: str
) -> None:
    """Stops, with the reason and a remedy, if an index was not made from the same."""
    if known is None:
        raise IndexMismatchError(f"'{where}' was not made by a retriever of stgt_mm. {remedy}")
    differ = [
        f'  {key}: {known.get(key)} there, {mine[key]} here' for key in mine if known.get(key) != mine[key]
    ]
    if differ:
        raise IndexMismatchError(
            f"the index '{where}' was made by another model, and embeddings of two cannot be compared:\n"
            + '\n'.join([*differ, remedy])
        )


def source_stamp(path: str, columns: Mapping[str, Any], windows: Windows | None) -> str:
    """Says what a file is, by size and time, what is said of it, and how it is cut; OSError if it is gone."""
    facts = os.stat(path)
    return json.dumps([facts.st_size, facts.st_mtime_ns, windows, columns])
