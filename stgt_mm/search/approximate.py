"""Approximate search in an index of LanceDB: a row a query embedding, found by quantised partitions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from torch import Tensor

from stgt_mm.errors import UserError
from stgt_mm.io.whole_file import whole_file

TABLE = 'embeddings'
FEWEST = 256  # embeddings that the quantiser is trained on
_CHUNK = 4096  # moments
_REFINED = 4  # of so many times the wanted embeddings the distance is computed exactly
_A_VIDEO = 16  # embeddings that are asked for, for each moment that is wanted


class ApproximateTable:
    """The embeddings of a version of an index, with all that is known of their moments.

    Source: IVF-PQ, Jegou et al. 2011, of Lance.
    """

    def __init__(self, db: Any, folder: Path) -> None:
        self._db = db
        self._marker = folder / 'approximate.json'

    def build(self, version: int, rows: pa.Table, queries: Tensor) -> None:
        """Copies the queries (n, Q, P) of all rows, and indexes them."""
        from lancedb.index import IvfPq

        count, each, width = queries.shape
        if count * each < FEWEST:
            raise UserError(
                f'the index holds {count * each} embeddings: approximate search needs {FEWEST}, and exact '
                'search takes no time here.'
            )
        self._marker.unlink(missing_ok=True)
        batches = self._batches(rows.drop_columns(['_rowid']), queries)
        table = self._db.create_table(TABLE, pa.Table.from_batches([next(batches)]), mode='overwrite')
        for batch in batches:
            table.add(pa.Table.from_batches([batch]))
        table.create_index(
            'embedding', config=IvfPq(distance_type='cosine', num_sub_vectors=max(1, width // 4))
        )
        self.tune(version, 8)

    def _batches(self, rows: pa.Table, queries: Tensor) -> Iterator[pa.RecordBatch]:
        each = queries.shape[1]
        for start in range(0, len(queries), _CHUNK):
            part = queries[start : start + _CHUNK]
            places = [place for place in range(start, start + len(part)) for _ in range(each)]
            flat = pa.FixedSizeListArray.from_arrays(part.flatten().numpy(), queries.shape[2])
            yield from rows.take(places).append_column('embedding', flat).combine_chunks().to_batches()

    def tune(self, version: int, probes: int) -> None:
        """Sets how many partitions are looked at, for the version that this was built of."""
        with whole_file(self._marker) as partial:
            partial.write_text(json.dumps({'version': version, 'probes': probes}))

    def probes(self, version: int) -> int:
        """Returns how many partitions are looked at; a UserError if it is not of this version."""
        known = json.loads(self._marker.read_text()) if self._marker.exists() else {}
        if known.get('version') != version:
            raise UserError(
                'the index has no approximate search, or has changed since: call build_approximate.'
            )
        return known['probes']

    def search(self, text: Tensor, n: int, where: str | None, version: int) -> list[dict[str, Any]]:
        """Finds rows of embeddings near a text (P,), more than n; ``_distance`` is 1 - cosine."""
        search = self._db.open_table(TABLE).search(text.numpy(), vector_column_name='embedding')
        search = search.distance_type('cosine').nprobes(self.probes(version)).refine_factor(_REFINED)
        search = search if where is None else search.where(where, prefilter=True)
        rows = search.limit(n * _A_VIDEO).to_arrow().drop_columns(['embedding']).to_pylist()
        return sorted(rows, key=lambda row: row['_distance'])
