"""Tokens of a frozen backbone on disk: computed once, read every epoch."""

import hashlib
import json
import os
import shutil
import socket
import time
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from stgt_mm.errors import UserError
from stgt_mm.io.whole_file import whole_file

VERSION = 1
DTYPES = ('float16', 'float32')
_FLUSH_SECONDS = 5.0


class FeatureCacheError(UserError):
    """A cache that must not be used; the message says what to do."""


class FeatureCache:
    """One array of features, an item a clip, with a checksum an item.

    The folder ``root/<hash of key>`` holds ``features.npy`` and one index a writer, ``index-<writer>.json``,
    replaced atomically after the data it speaks of is on disk: an item is there when an index says so, so
    that an interrupted build goes on where it was. A folder whose files do not fit each other or the
    arguments is emptied and started again, by one process at a time (``root/<hash of key>.lock``); an item
    whose bytes do not fit its checksum is never given out.

    ``key`` says what the features depend on (:func:`~stgt_mm.datasets.feature_warming.cache_key`);
    ``item_shape`` is (T, 1 + N, C) for backbone tokens. All caches below ``root`` may take ``max_gib`` GiB on
    disk together, or it is a ValueError. Processes that fill one cache need different names as its
    ``writer``, by default host and number. ``broken`` has items that cannot be computed, index -> reason.
    """

    def __init__(
        self,
        root: str | Path,
        key: str,
        num_items: int,
        item_shape: Sequence[int],
        dtype: str = 'float16',
        max_gib: float = 20.0,
        writer: str | None = None,
    ) -> None:
        if dtype not in DTYPES:
            raise ValueError(f"dtype='{dtype}' is unknown. Use one of {', '.join(DTYPES)}.")
        self.num_items = num_items
        self.item_shape = tuple(int(size) for size in item_shape)
        self.dtype = np.dtype(dtype)
        self.item_bytes = int(np.prod(self.item_shape)) * self.dtype.itemsize
        self.key = key
        self.max_gib = max_gib
        # runs that want other types do not take each other's folder
        name = key if dtype == DTYPES[0] else f'{key} {dtype}'
        self.folder = Path(root) / hashlib.sha256(name.encode()).hexdigest()[:16]
        self.writer = writer or f'{socket.gethostname()}-{os.getpid()}'
        self._mine: dict[int, int] = {}
        self._mine_broken: dict[int, str] = {}
        self._map: np.ndarray | None = None
        self._flushed = time.monotonic()
        self._open()

    @property
    def _data(self) -> Path:
        return self.folder / 'features.npy'

    def _head(self) -> dict[str, Any]:
        return {
            'version': VERSION,
            'key': self.key,
            'num_items': self.num_items,
            'item_shape': list(self.item_shape),
            'dtype': str(self.dtype),
        }

    def _open(self) -> None:
        root = self.folder.parent
        if self.folder.is_symlink():
            raise FeatureCacheError(
                f'{self.folder} is a symbolic link; caches are not followed out of their root. Remove it, '
                'or set feature_cache.root to the folder that it should lead to.'
            )
        root.mkdir(parents=True, exist_ok=True)
        # where nobody can write, a complete cache can still be read
        with FileLock(self.folder.with_suffix('.lock')) if os.access(root, os.W_OK) else nullcontext():
            if not self._fits():
                shutil.rmtree(self.folder, ignore_errors=True)
                with FileLock(root / 'create.lock'):
                    self._check_room()
                    self._create()
            self.refresh()

    def _fits(self) -> bool:
        """Whether the files can be gone on with."""
        try:
            array = np.load(self._data, mmap_mode='r', allow_pickle=False)
            self._read_indices()
        except (OSError, ValueError):
            return False
        return array.shape == (self.num_items, *self.item_shape) and array.dtype == self.dtype

    def _read_indices(self) -> dict[str, tuple[dict[int, int], dict[int, str]]]:
        """Checksums and broken items by name of the index; ValueError if one is not ours."""
        found = {}
        for path in sorted(self.folder.glob('index-*.json')):
            try:
                index = json.loads(path.read_text(encoding='utf-8'))
                sums = {int(item): int(value) for item, value in index['sums'].items()}
                broken = {int(item): str(why) for item, why in index['broken'].items()}
                items = sums.keys() | broken.keys()
                fits = index['head'] == self._head() and all(0 <= item < self.num_items for item in items)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                fits = False
            if not fits:
                raise ValueError(f"'{path}' is damaged. Remove the folder: rm -r {self.folder}")
            found[path.name] = sums, broken
        return found

    def _check_room(self) -> None:
        """Stops before the caches below the root outgrow their limit; none is removed: a run may read it."""
        others = {path.parent: path.stat() for path in self.folder.parent.glob('*/features.npy')}
        own = self.num_items * self.item_bytes
        total = own + sum(facts.st_size for facts in others.values())
        if total <= self.max_gib * 2**30:
            return
        listed = sorted(others.items(), key=lambda pair: pair[1].st_mtime)[:5]
        oldest = ''.join(f'\n  rm -r {folder}  ({facts.st_size / 2**30:.2f} GiB)' for folder, facts in listed)
        raise ValueError(
            f'features of {self.num_items} clips of shape {self.item_shape} in {self.dtype} take '
            f'{own / 2**30:.1f} GiB; with these the caches below {self.folder.parent} would take '
            f'{total / 2**30:.1f} GiB, more than max_gib={self.max_gib}. Remove what no run uses, the oldest '
            f'first, raise feature_cache.max_gib, or set feature_cache=None.{oldest}'
        )

    def _create(self) -> None:
        with whole_file(self._data) as partial, partial.open('wb') as file:
            np.lib.format.write_array_header_1_0(
                file,
                {
                    'descr': np.lib.format.dtype_to_descr(self.dtype),
                    'fortran_order': False,
                    'shape': (self.num_items, *self.item_shape),
                },
            )
            file.truncate(file.tell() + self.num_items * self.item_bytes)

    def refresh(self) -> None:
        """Takes up what other processes have written since."""
        self._sums: dict[int, int] = {}
        self.broken: dict[int, str] = {}
        for name, (sums, broken) in self._read_indices().items():
            self._sums.update(sums)
            self.broken.update(broken)
            if name == f'index-{self.writer}.json':
                self._mine = {**sums, **self._mine}
                self._mine_broken = {**broken, **self._mine_broken}
        self._sums.update(self._mine)
        self.broken.update(self._mine_broken)
        self._checked = np.zeros(self.num_items, dtype=bool)
        self._map = None

    def missing(self) -> list[int]:
        """Returns the items that are neither there nor known as broken, in ascending order."""
        return [item for item in range(self.num_items) if item not in self._sums and item not in self.broken]

    def write(self, indices: Sequence[int], array: Tensor | np.ndarray) -> None:
        """Stores n items, shape (n, *item_shape); they are safe after :meth:`flush`."""
        with np.errstate(over='ignore'):  # answered below, with the remedy
            values = torch.as_tensor(array).detach().cpu().numpy().astype(self.dtype, order='C')
        if values.shape != (len(indices), *self.item_shape):
            raise ValueError(
                f'features of shape {values.shape} do not fit {len(indices)} items of {self.item_shape}.'
            )
        if not np.isfinite(values).all():
            raise ValueError(
                f"features are not finite as {self.dtype}. Use feature_cache.dtype='float32' if they are "
                'larger than 65504; otherwise the backbone gives NaN or infinity.'
            )
        start = self._data.stat().st_size - self.num_items * self.item_bytes
        with self._data.open('r+b') as file:
            for item, value in zip(indices, values, strict=True):
                file.seek(start + int(item) * self.item_bytes)
                file.write(value.tobytes())
                self._mine[int(item)] = self._sums[int(item)] = zlib.crc32(value)
                self._checked[int(item)] = False
        self._flush_if_due()

    def mark_broken(self, index: int, why: str) -> None:
        """Notes that an item cannot be computed, and why: given to whoever asks for it."""
        self._mine_broken[int(index)] = self.broken[int(index)] = why
        self._flush_if_due()

    def _flush_if_due(self) -> None:
        # the index holds all items: written after every batch, the whole would take quadratic time
        if time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Puts on disk what this process has written: the data, then the index that speaks of it."""
        if not self._mine and not self._mine_broken:
            return
        with self._data.open('r+b') as file:
            os.fsync(file.fileno())
        path = self.folder / f'index-{self.writer}.json'
        with whole_file(path) as partial, partial.open('w', encoding='utf-8') as file:
            json.dump({'head': self._head(), 'sums': self._mine, 'broken': self._mine_broken}, file)
            file.flush()
            os.fsync(file.fileno())
        self._flushed = time.monotonic()

    def read(self, index: int) -> Tensor:
        """Returns a copy of an item, of ``item_shape`` in the cache's type, after a check of its bytes."""
        if index not in self._sums:
            raise FeatureCacheError(f'item {index} is not in {self.folder}. Fill the cache first.')
        if self._map is None:
            self._map = np.load(self._data, mmap_mode='r', allow_pickle=False)
        value = np.array(self._map[index])
        if not self._checked[index]:
            if zlib.crc32(value) != self._sums[index]:
                raise FeatureCacheError(
                    f'item {index} of {self._data} is damaged. Remove the folder: rm -r {self.folder}'
                )
            self._checked[index] = True
        return torch.from_numpy(value)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_map': None}
