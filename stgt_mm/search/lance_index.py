"""An index in a folder, by LanceDB: no server, and every write is whole or has not happened."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from filelock import FileLock
from torch import Tensor

from stgt_mm.search.base import Found, Known, Moment, VideoIndex, best_of_videos
from stgt_mm.search.filters import Condition, quoted, to_sql
from stgt_mm.search.fingerprint import check_made_from
from stgt_mm.search.token_files import TokenFiles

TABLE = 'moments'
_FIXED = {
    'path': pa.string(),
    'start': pa.float64(),
    'end': pa.float64(),
    'stamp': pa.string(),
    'kept': pa.string(),
}
_KINDS = {str: pa.string(), bool: pa.bool_(), float: pa.float64()}
_SQL_KINDS = {pa.string(): 'string', pa.bool_(): 'boolean', pa.float64(): 'double'}
_KEEP_OLD = timedelta(minutes=10)  # another process may be reading what was there before


class LanceIndex(VideoIndex):
    """A Lance table of moments, and beside it files of video tokens.

    An exact search is a scan of all query embeddings, which are read into memory the first time: Lance's own
    exact search takes five to twenty times as long (docs/search.md). LanceDB keeps the rows, their versions,
    the filters and the approximate index.

    Args:
        folder: Where the index is or will be.
        made_from: Of :func:`~stgt_mm.search.fingerprint.made_from`.
        keep_tokens: Whether the tokens that moments bring are kept.

    Raises:
        IndexMismatchError: If the index was made from something else.
        ImportError: If LanceDB is not installed.
    """

    def __init__(self, folder: str | Path, made_from: dict[str, Any], keep_tokens: bool = True) -> None:
        try:
            import lancedb
        except ImportError as error:
            raise ImportError(
                'an index in a folder needs the package lancedb: pip install lancedb'
            ) from error
        self.where = str(folder)
        self.made_from = made_from
        self.keep_tokens = keep_tokens
        self._tokens = TokenFiles(Path(folder) / 'tokens')
        self._lock = FileLock(Path(folder) / 'writing.lock')
        self._loaded: tuple[int, pa.Table, Tensor] | None = None
        Path(folder).mkdir(parents=True, exist_ok=True)
        # a version that another process writes is seen by the next search
        self._db = lancedb.connect(folder, read_consistency_interval=timedelta(0))
        self._table = self._db.open_table(TABLE) if TABLE in self._db.table_names() else None
        if self._table is not None:
            known = (self._table.schema.metadata or {}).get(b'made_from')
            remedy = f'Choose another folder for the index, or remove this one: rm -r {folder}'
            check_made_from(known and json.loads(known), made_from, self.where, remedy)

    def __len__(self) -> int:
        return 0 if self._table is None else self._table.count_rows()

    def files(self) -> dict[str, Known]:
        """Returns what is known of each file."""
        if self._table is None:
            return {}
        names = ['path', 'stamp', *sorted(self.columns())]
        known = {}
        for batch in self._table.search().select(names).to_batches():
            for row in batch.to_pylist():
                known.setdefault(row.pop('path'), Known(row.pop('stamp'), _given(row)))
        return known

    def columns(self) -> set[str]:
        """Returns the names of the user's own columns."""
        return set() if self._table is None else set(self._table.schema.names) - {*_FIXED, 'vectors'}

    def write(self, moments: Sequence[Moment]) -> None:
        """Puts in all moments of some files, in one commit; their tokens are on disk before it."""
        with self._lock:
            fresh = [moment for moment in moments if moment.tokens is not None]
            if fresh and self.keep_tokens:
                for moment, name in zip(fresh, self._tokens.write([moment.tokens for moment in fresh])):
                    moment.kept = name
            rows = self._rows(moments)
            if self._table is None:
                self._table = self._db.create_table(TABLE, rows)
                return
            for name in set(rows.schema.names) - set(self._table.schema.names):
                self._table.add_columns({name: f'cast(NULL as {_SQL_KINDS[rows.schema.field(name).type]})'})
            merge = self._table.merge_insert(['path', 'start'])
            merge = merge.when_matched_update_all().when_not_matched_insert_all()
            merge.when_not_matched_by_source_delete(_paths({own.path for own in moments})).execute(rows)

    def _rows(self, moments: Sequence[Moment]) -> pa.Table:
        """Lays out moments with the columns of the table, and those that it does not have yet."""
        known = {} if self._table is None else {own.name: own.type for own in self._table.schema}
        types = {name: known[name] for name in self.columns()}
        for moment in moments:
            for name, value in moment.columns.items():
                kind = _KINDS[type(value)]
                if types.setdefault(name, kind) != kind:
                    raise ValueError(
                        f"column '{name}' of {moment.path} is {value!r}, and {types[name]} elsewhere in "
                        f"'{self.where}': give all one kind."
                    )
        vectors = torch.stack([moment.queries for moment in moments]).float().contiguous().numpy()
        count, queries, width = vectors.shape
        flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), width)
        ends = pa.array(np.arange(count + 1, dtype=np.int32) * queries)
        rows = [{**vars(own), **own.columns} for own in moments]
        types = {**_FIXED, **dict(sorted(types.items()))}
        arrays = {name: pa.array([row.get(name) for row in rows], kind) for name, kind in types.items()}
        arrays['vectors'] = pa.ListArray.from_arrays(ends, flat)
        return pa.table(arrays, metadata={'made_from': json.dumps(self.made_from)})

    def read(self, paths: Sequence[str]) -> list[Moment]:
        """Returns the moments of files as they can be written again."""
        if self._table is None:
            return []
        rows, vectors = self._read(self._table.search().where(_paths(paths)))
        return [_moment(row, queries) for row, queries in zip(rows.to_pylist(), vectors)]

    def remove(self, paths: Sequence[str]) -> None:
        """Takes files out in one commit."""
        if self._table is not None and paths:
            with self._lock:
                self._table.delete(_paths(paths))

    def tidy(self) -> None:
        """Joins what many small writes have left, and removes tokens that no moment needs."""
        if self._table is None:
            return
        with self._lock:
            self._table.optimize(cleanup_older_than=_KEEP_OLD)
            kept = self._table.search().select(['kept']).to_arrow()['kept'].drop_null()
            self._tokens.keep_only(kept.to_pylist())

    def tokens_of(self, moments: Sequence[Moment]) -> list[Tensor | None]:
        """Returns the video tokens (M, C) of moments; None where they are not kept."""
        return [None if moment.kept is None else self._tokens.read(moment.kept) for moment in moments]

    def _read(self, query: Any) -> tuple[pa.Table, Tensor]:
        """Reads rows, and apart from them their vectors (n, Q, P)."""
        names = [name for name in self._table.schema.names if name != 'vectors']
        rows, vectors = [], []
        for batch in query.select([*names, 'vectors']).with_row_id(True).to_batches():
            if len(batch):
                flat = batch.column('vectors').flatten()
                values = torch.from_numpy(flat.flatten().to_numpy().copy())
                vectors.append(values.view(len(batch), -1, flat.type.list_size))
                rows.append(batch.drop_columns(['vectors']))
        return pa.Table.from_batches(rows), torch.cat(vectors)

    def _all(self) -> tuple[pa.Table, Tensor]:
        """Returns all rows and vectors from memory, read anew when another version is there."""
        version = self._table.version
        if self._loaded is None or self._loaded[0] != version:
            self._loaded = None  # not both at once
            self._loaded = (version, *self._read(self._table.search()))
        return self._loaded[1:]

    def _nearest(
        self, text: Tensor, k: int, conditions: list[Condition], by_video: bool, approximate: bool
    ) -> list[Found]:
        rows, vectors = self._all()
        similarity = (vectors.flatten(0, 1) @ text.float()).view(vectors.shape[:2]).amax(dim=1)
        count = len(similarity)
        where = to_sql(conditions)
        if where is not None:
            kept = self._table.search().where(where).select([]).with_row_id(True).to_arrow()['_rowid']
            fits = torch.from_numpy(np.isin(rows['_rowid'].to_numpy(), kept.to_numpy()))
            similarity, count = similarity.masked_fill(~fits, -torch.inf), int(fits.sum())

        def best(n: int) -> list[Found]:
            values, places = similarity.topk(n)
            found = rows.take(places.numpy()).to_pylist()
            return [Found(_moment(row), value) for row, value in zip(found, values.tolist())]

        return best_of_videos(best, k, count) if by_video else best(min(k, count))


def _paths(paths: Sequence[str] | set[str]) -> str:
    return f'path IN ({", ".join(map(quoted, paths))})'


def _given(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in columns.items() if value is not None and name != '_rowid'}


def _moment(row: dict[str, Any], queries: Tensor | None = None) -> Moment:
    fixed = {name: row.pop(name) for name in _FIXED}
    return Moment(**fixed, columns=_given(row), queries=queries)
