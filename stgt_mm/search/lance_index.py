"""An index in a folder, by LanceDB: no server, and a write is whole or has not happened."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from filelock import FileLock
from torch import Tensor

from stgt_mm.errors import UserError
from stgt_mm.io.whole_file import whole_file
from stgt_mm.search.base import Hit, Moment, VideoIndex, distinct
from stgt_mm.search.filters import Condition, quoted, to_sql
from stgt_mm.search.fingerprint import check_made_from
from stgt_mm.search.token_files import TokenFiles

TABLE = 'moments'
_TEXT, _NUMBER = pa.string(), pa.float64()
_FIXED = {'path': _TEXT, 'start': _NUMBER, 'end': _NUMBER, 'stamp': _TEXT, 'tokens': _TEXT}
_KINDS = {str: _TEXT, bool: pa.bool_(), float: _NUMBER}
_SCATTERED = 32  # files of rows, beyond which they are joined
_KEEP_OLD = timedelta(minutes=10)  # another process may be reading what was there before


class LanceIndex(VideoIndex):
    """A Lance table of moments, and beside it files of video tokens.

    An exact search scans all query embeddings, which are read into memory the first time: Lance's own takes
    five to twenty times as long (docs/search.md). LanceDB keeps the rows, their versions and the filters.

    Args:
        folder: Where the index is or will be.
        made_from: Of :func:`~stgt_mm.search.fingerprint.made_from`.
        keep_tokens: Whether the tokens of moments are kept.

    Raises:
        IndexMismatchError: If the index was made from something else.
        ImportError: If LanceDB is not installed.
    """

    def __init__(
        self, folder: str | os.PathLike, made_from: dict[str, Any], keep_tokens: bool = True
    ) -> None:
        try:
            import lancedb
        except ImportError as error:
            raise ImportError(
                'an index in a folder needs the package lancedb: pip install lancedb'
            ) from error
        self.folder = Path(folder).expanduser()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.made_from = made_from
        self.keep_tokens = keep_tokens
        self._tokens = TokenFiles(self.folder / 'tokens')
        self._lock = FileLock(self.folder / 'writing.lock')
        self._probes = self.folder / 'probes.json'  # how many partitions an approximate search looks at
        # what another process writes is seen by the next search
        self._db = lancedb.connect(self.folder, read_consistency_interval=timedelta(0))
        self._opened: Any = None
        self._loaded: tuple[int, pa.Table, Tensor] | None = None
        self._table  # noqa: B018

    @property
    def _table(self) -> Any:
        """The table of moments, None before the first write of any process."""
        # without a version it is what a crash in the first write has left
        if self._opened is None and any(self.folder.glob(f'{TABLE}.lance/_versions/*.manifest')):
            table = self._db.open_table(TABLE)
            known = (table.schema.metadata or {}).get(b'made_from')
            remedy = f'Choose another folder for the index, or remove this one: rm -r {self.folder}'
            check_made_from(known and json.loads(known), self.made_from, str(self.folder), remedy)
            self._opened = table
        return self._opened

    def __len__(self) -> int:
        return 0 if self._table is None else self._table.count_rows()

    def stamps(self) -> dict[str, str]:
        """Returns the stamp of each file."""
        if self._table is None:
            return {}
        rows = self._table.search().select(['path', 'stamp']).to_arrow()
        return dict(zip(rows['path'].to_pylist(), rows['stamp'].to_pylist()))

    def columns(self) -> set[str]:
        """Returns the names of the user's own columns."""
        return set() if self._table is None else set(self._table.schema.names) - {*_FIXED, 'queries'}

    def write(self, moments: Sequence[Moment]) -> None:
        """Puts in all moments of some files, in one commit; their tokens are on disk before it."""
        with self._lock:
            names: Sequence[str | None] = [None] * len(moments)
            if self.keep_tokens and moments[0].tokens is not None:
                names = self._tokens.write([moment.tokens for moment in moments])
            rows = self._rows(moments, names)
            if self._table is None:
                self._db.create_table(TABLE, rows)
                return
            missing = [own for own in rows.schema if own.name not in self._table.schema.names]
            if missing:
                self._table.add_columns(missing)
            merge = self._table.merge_insert(['path', 'start'])
            merge = merge.when_matched_update_all().when_not_matched_insert_all()
            merge.when_not_matched_by_source_delete(_paths({own.path for own in moments})).execute(rows)

    def _rows(self, moments: Sequence[Moment], tokens: Sequence[str | None]) -> pa.Table:
        """Lays out moments with the columns of the table, and those that it does not have yet."""
        types = {name: self._table.schema.field(name).type for name in sorted(self.columns())}
        for moment in moments:
            for name, value in moment.columns.items():
                if types.setdefault(name, _KINDS[type(value)]) != _KINDS[type(value)]:
                    raise ValueError(
                        f"column '{name}' of {moment.path} is {value!r}, and it is {types[name]} elsewhere "
                        'in the index: give all one kind.'
                    )
        rows = [{**vars(own), 'tokens': name, **own.columns} for own, name in zip(moments, tokens)]
        arrays = {
            name: pa.array([row.get(name) for row in rows], own) for name, own in (_FIXED | types).items()
        }
        queries = torch.stack([moment.queries for moment in moments]).float()
        flat = pa.FixedSizeListArray.from_arrays(queries.flatten().numpy(), queries.shape[2])
        ends = np.arange(len(moments) + 1, dtype=np.int32) * queries.shape[1]
        arrays['queries'] = pa.ListArray.from_arrays(ends, flat)
        return pa.table(arrays, metadata={'made_from': json.dumps(self.made_from)})

    def remove(self, paths: Sequence[str]) -> None:
        """Takes files out in one commit."""
        if self._table is not None and paths:
            with self._lock:
                self._table.delete(_paths(paths))

    def tidy(self) -> None:
        """Joins what many small writes have left, and removes tokens that no moment needs."""
        if self._table is not None:
            with self._lock:
                if self._table.stats()['fragment_stats']['num_fragments'] > _SCATTERED:
                    self._table.optimize(cleanup_older_than=_KEEP_OLD)  # writes all rows again
                kept = self._table.search().select(['tokens']).to_arrow()['tokens']
                self._tokens.keep_only(kept.drop_null().to_pylist())

    def tokens_of(self, hit: Hit) -> Tensor | None:
        """Returns the video tokens (M, C) of a hit; None where they are not kept."""
        return None if hit.tokens is None else self._tokens.read(hit.tokens)

    def _all(self) -> tuple[pa.Table, Tensor]:
        """Returns all rows and apart from them their queries (n, Q, P), from memory if nothing is newer."""
        loaded, version = self._loaded, self._table.version
        if loaded is None or loaded[0] != version:
            self._loaded = loaded = None  # not both at once
            snapshot = self._db.open_table(TABLE)  # another process may be writing
            snapshot.checkout(version)
            batches = snapshot.search().with_row_id(True).to_batches()
            self._loaded = loaded = version, *_apart(batches, snapshot.count_rows())
        return loaded[1:]

    def _settings(self) -> Iterator[None]:
        from lancedb.index import IvfFlat

        rows, queries = self._all()
        partitions = round((len(rows) * queries.shape[1]) ** 0.5)
        self._table.create_index('queries', config=IvfFlat(distance_type='cosine', num_partitions=partitions))
        for probes in (8, 16, 32, 64, 128, 256):
            with whole_file(self._probes) as partial_file:
                partial_file.write_text(str(probes))
            yield

    def _near(self, text: Tensor, where: str | None, n: int) -> list[Hit]:
        if not self._probes.is_file():
            raise UserError('the index has no approximate search yet: call build_approximate.')
        search = self._table.search(text.numpy(), vector_column_name='queries').distance_type('cosine')
        search = search.nprobes(int(self._probes.read_text()))
        found = (search if where is None else search.where(where)).limit(n).to_arrow()
        if not len(found):
            return []
        rows, queries = _apart(found.to_batches(), len(found))
        # its own distance is to the embeddings in the partitions that it looked at
        return _hits(rows, *_similarity(queries, text).sort(descending=True))

    def _nearest(
        self, text: Tensor, k: int, conditions: list[Condition], by_video: bool, approximate: bool
    ) -> list[Hit]:
        where = to_sql(conditions)
        if approximate:
            return distinct(partial(self._near, text, where), k, len(self), by_video)
        rows, queries = self._all()
        similarity = _similarity(queries, text)
        count = len(similarity)
        if where is not None:
            kept = self._table.search().where(where).select([]).with_row_id(True).to_arrow()
            fits = torch.from_numpy(np.isin(rows['_rowid'], kept['_rowid']))
            similarity, count = similarity.masked_fill(~fits, -torch.inf), int(fits.sum())
        return distinct(lambda n: _hits(rows, *similarity.topk(n)), k, count, by_video)


def _paths(paths: Sequence[str] | set[str]) -> str:
    return f'path IN ({", ".join(map(quoted, paths))})'


def _apart(batches: Iterable[pa.RecordBatch], count: int) -> tuple[pa.Table, Tensor]:
    """Copies n rows into memory, and apart from them their queries (n, Q, P)."""
    rows, queries, place = [], np.empty(0), 0
    for batch in batches:
        flat = batch.column('queries').flatten()
        values = flat.flatten().to_numpy().reshape(len(batch), -1, flat.type.list_size)
        queries = queries if len(rows) else np.empty((count, *values.shape[1:]), np.float32)
        queries[place : place + len(batch)] = values
        place += len(batch)
        # copied: what is left of a batch would keep all of it in memory
        rows.append(batch.drop_columns(['queries']).take(np.arange(len(batch))))
    return pa.Table.from_batches(rows), torch.from_numpy(queries)


def _similarity(queries: Tensor, text: Tensor) -> Tensor:
    """Cosines (n,) of a text (P,) with the nearest of the queries (n, Q, P) of each moment."""
    return (queries.flatten(0, 1) @ text).view(queries.shape[:2]).amax(dim=1)


def _hits(rows: pa.Table, similarity: Tensor, places: Tensor) -> list[Hit]:
    """Makes hits of the rows at these places."""
    hits = []
    for row, value in zip(rows.take(places.numpy()).to_pylist(), similarity.tolist()):
        place = [row.pop(name) for name in _FIXED]
        own = {name: own for name, own in row.items() if own is not None and name[0] != '_'}
        hits.append(Hit(*place[:3], value, value, None, own, place[-1]))
    return hits
