"""Clips in tar files, each found by a table of offsets; in a folder or at an fsspec address."""

import hashlib
import json
import os
import zlib
from bisect import bisect_left
from functools import lru_cache
from io import BytesIO
from itertools import takewhile
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
from filelock import FileLock
from fsspec.implementations.local import LocalFileSystem

from stgt_mm.datasets.readers.errors import VideoReadError
from stgt_mm.errors import UserError
from stgt_mm.io.whole_file import whole_file

INDEX = 'shards.arrow'
_SCHEME = 'tar://'
_SHOWN = 5
MAKER = 'python tools/dataset_converters/make_shards.py ANNOTATION.jsonl VIDEOS SHARDS'


class ShardsError(UserError):
    """Shards that cannot be used; the message names them."""


class MemberFile(BytesIO):
    """The bytes of a member as an open file; FFmpeg reads the format off its name, too."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


class ClipShards:
    """The members of the tar files in ``root``, a folder or an address such as ``s3://bucket/w10m``.

    ``root/shards.arrow`` has name, shard, offset, size and checksum of each, in the order of the names, and
    is mapped into memory: processes share it. One that lies elsewhere is copied to the user's cache once. No
    file stays open between two reads, so that nothing is shared over a fork. ``ShardsError`` if there is no
    index, or one of its shards is not there or has another size.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip('/')
        try:
            self.table = pa.ipc.open_file(pa.memory_map(str(self._local_index()))).read_all()
        except FileNotFoundError as error:
            raise ShardsError(f"no '{INDEX}' in '{root}'. Make shards: {MAKER}") from error
        except pa.ArrowInvalid as error:
            raise ShardsError(f"'{root}/{INDEX}' is damaged: run its command again.") from error
        self.shards: list[tuple[str, int]] = json.loads(self.table.schema.metadata[b'shards'])
        self._names = self.table['name'].chunk(0)
        self._check()

    def _local_index(self) -> Path:
        files, folder = open_root(self.root)
        path = f'{folder}/{INDEX}'
        if isinstance(files, LocalFileSystem):
            return Path(path)
        home = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'stgt_mm' / 'shards'
        stamp = hashlib.sha256(f'{self.root} {files.ukey(path)}'.encode()).hexdigest()[:16]
        home.mkdir(parents=True, exist_ok=True)
        copy = home / f'{stamp}.arrow'
        with FileLock(copy.with_suffix('.lock')):
            if not copy.is_file():
                with whole_file(copy) as partial:
                    files.get_file(path, str(partial))
        return copy

    def _check(self) -> None:
        files, folder = open_root(self.root)
        sizes = {entry['name'].rpartition('/')[2]: entry['size'] for entry in files.ls(folder, detail=True)}
        wrong = [
            f'{name} has {sizes[name]} of {size} bytes' if name in sizes else f'{name} is missing'
            for name, size in self.shards
            if sizes.get(name) != size
        ]
        if wrong:
            raise ShardsError(
                f"{len(wrong)} of {len(self.shards)} shards in '{self.root}' are not what '{INDEX}' says: "
                f'{"; ".join(wrong[:_SHOWN])}{"; ..." * (len(wrong) > _SHOWN)}. Copy them again, or run the '
                'command that made them: it writes those that lack.'
            )

    def __len__(self) -> int:
        return len(self.table)

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def __str__(self) -> str:
        return self.root

    def __reduce__(self) -> tuple[Any, ...]:
        return open_shards, (self.root,)

    def name_hashes(self, folder: str) -> np.ndarray:
        """Lists the names that begin with ``folder``, '' or 'a/b/', without it, as ``VideoFolder`` does."""
        first = bisect_left(self._names, folder, key=pa.StringScalar.as_py)
        below = takewhile(lambda name: name.startswith(folder), map(str, self._names[first:]))
        return np.sort(np.fromiter((hash(name[len(folder) :]) for name in below), np.int64))

    def address(self, name: str) -> str:
        """Names shard and member as fsspec does: ``tar://clips/a.mp4::s3://bucket/w10m/clips-000000.tar``."""
        row = self._find(name)
        shard = INDEX if row is None else self.shards[self.table['shard'][row].as_py()][0]
        return f'{_SCHEME}{name}::{self.root}/{shard}'

    def row(self, name: str) -> dict[str, Any] | None:
        """Returns ``shard`` (a number), ``offset``, ``size`` and ``crc32`` of a member, or None."""
        place = self._find(name)
        return None if place is None else self.table.slice(place, 1).to_pylist()[0]

    def _find(self, name: str) -> int | None:
        place = bisect_left(self._names, name, key=pa.StringScalar.as_py)
        return place if place < len(self._names) and self._names[place].as_py() == name else None


# workers that are forked have the table already; others open it once
open_shards = lru_cache(maxsize=32)(ClipShards)


def open_root(root: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Returns the file system of a folder or address, one of this process, and the path within it."""
    try:
        return fsspec.core.url_to_fs(root)
    except (ImportError, ValueError) as error:  # an address whose package is not installed, or of no kind
        raise ShardsError(f"cannot open '{root}': {error}. s3:// needs s3fs, gs:// gcsfs: pip.") from error


def is_member(path: str | os.PathLike) -> bool:
    """Says whether a path is the address of a member of a shard (:meth:`ClipShards.address`)."""
    return os.fspath(path).startswith(_SCHEME)


def _look_up(address: str) -> tuple[str, dict[str, Any] | None]:
    name, _, shard = address.removeprefix(_SCHEME).rpartition('::')
    return shard, open_shards(shard.rpartition('/')[0]).row(name)


def file_stamp(path: str | os.PathLike) -> tuple[int, int] | None:
    """Size of a file and the ns of its last change, of a member its checksum; None if it is not there."""
    if is_member(path):
        _, row = _look_up(os.fspath(path))
        return row and (row['size'], row['crc32'])
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size, status.st_mtime_ns


def read_member(address: str) -> MemberFile:
    """Reads a member whole; ``VideoReadError`` names it and its shard if it is not there or is damaged."""
    shard, row = _look_up(address)
    if row is None:
        raise VideoReadError(address, 'no such member')
    files, path = open_root(shard)
    start, size = row['offset'], row['size']
    try:
        content = files.cat_file(path, start, start + size)
    except FileNotFoundError as error:
        raise VideoReadError(address, 'no such shard') from error
    except Exception as error:  # each file system has errors of its own
        raise VideoReadError(address, f'{type(error).__name__}: {error}') from error
    if len(content) != size:
        why = f'the shard ends at byte {start + len(content)}, the member at {start + size}'
        raise VideoReadError(address, why)
    if zlib.crc32(content) != row['crc32']:
        raise VideoReadError(address, f'its bytes do not fit the checksum in {INDEX}')
    return MemberFile(content, row['name'])
