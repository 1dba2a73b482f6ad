"""From the name of an index to the index."""

import os
from typing import Any

from stgt_mm.search.base import VideoIndex
from stgt_mm.search.lance_index import LanceIndex
from stgt_mm.search.qdrant_index import SCHEME, QdrantIndex


def open_index(where: str | os.PathLike, made_from: dict[str, Any], keep_tokens: bool = True) -> VideoIndex:
    """Opens the index ``where`` is the name of, or begins one: a folder, or ``qdrant://host:port/collection``.

    ``made_from`` describes the model, see :func:`~stgt_mm.search.fingerprint.made_from`; an index of another
    is an IndexMismatchError. ``keep_tokens`` is for a folder: in Qdrant no tokens are kept.
    """
    if str(where).startswith(SCHEME):
        return QdrantIndex(str(where), made_from)
    return LanceIndex(os.path.expanduser(where), made_from, keep_tokens)
