"""An index on a Qdrant server, for more videos than one machine holds."""

import uuid
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from torch import Tensor

from stgt_mm.search.base import Hit, Moment, VideoIndex, distinct
from stgt_mm.search.filters import BUILT_IN, Condition
from stgt_mm.search.fingerprint import check_made_from

SCHEME = 'qdrant://'
IN_MEMORY = ':memory:'
_POINTS = 200  # a request; a server takes 32 MiB


class QdrantIndex(VideoIndex):
    """A collection of moments, a multivector each, compared by the largest cosine; it keeps no tokens.

    A file that has changed is written before its old moments go: a crash may leave both, and the next
    indexing sees that.

    Args:
        url: ``qdrant://host:port/collection``; ``qdrant://:memory:/collection`` is Qdrant's local mode.
        made_from: Of :func:`~stgt_mm.search.fingerprint.made_from`.

    Raises:
        IndexMismatchError: If the collection was made from something else.
        ImportError: If the client is not installed.
        ValueError: If the URL is none.
    """

    def __init__(self, url: str, made_from: dict[str, Any]) -> None:
        try:
            from qdrant_client import QdrantClient, models
        except ImportError as error:
            raise ImportError(f"'{url}' needs qdrant-client: pip install qdrant-client") from error
        host, _, self._name = url.removeprefix(SCHEME).partition('/')
        if not host or not self._name or '/' in self._name:
            raise ValueError(f"'{url}' is no index: write qdrant://host:port/collection.")
        self.made_from = made_from
        self._models = models
        self._local = host == IN_MEMORY
        parts = urlsplit(f'//{host}' if not self._local else '')
        self._client = (
            QdrantClient(IN_MEMORY)
            if self._local
            else QdrantClient(host=parts.hostname, port=parts.port or 6333)
        )
        if self._client.collection_exists(self._name):
            remedy = 'Name another collection, or delete this one.'
            check_made_from(self._metadata().get('made_from'), made_from, url, remedy)

    def _metadata(self) -> dict[str, Any]:
        if not self._client.collection_exists(self._name):
            return {}
        return self._client.get_collection(self._name).config.metadata or {}

    def __len__(self) -> int:
        return self._client.count(self._name).count if self._metadata() else 0

    def stamps(self) -> dict[str, str]:
        """Returns the stamp of each file, an empty one where a crash has left moments of two."""
        stamps: dict[str, str] = {}
        offset, more = None, bool(self._metadata())
        while more:
            points, offset = self._client.scroll(
                self._name, limit=_POINTS, offset=offset, with_payload=['path', 'stamp']
            )
            for own in points:
                path, stamp = own.payload['path'], own.payload['stamp']
                stamps[path] = stamp if stamps.get(path, stamp) == stamp else ''
            more = offset is not None
        return stamps

    def columns(self) -> set[str]:
        """Returns the names of the user's own columns."""
        return set(self._metadata().get('columns', ()))

    def write(self, moments: Sequence[Moment]) -> None:
        """Puts in all moments of some files, then takes out what was known of these."""
        self._prepare(moments)
        points = [self._point(moment) for moment in moments]
        for start in range(0, len(points), _POINTS):
            self._client.upsert(self._name, points[start : start + _POINTS], wait=True)
        self.remove(sorted({moment.path for moment in moments}), [point.id for point in points])

    def _prepare(self, moments: Sequence[Moment]) -> None:
        models, columns = self._models, self.columns()
        names = sorted(columns.union(*(moment.columns for moment in moments)))
        if not self._metadata():
            largest = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
            vectors = models.VectorParams(
                size=moments[0].queries.shape[1], distance=models.Distance.DOT, multivector_config=largest
            )
            metadata = {'made_from': self.made_from, 'columns': names}
            self._client.create_collection(self._name, vectors_config=vectors, metadata=metadata)
            for field in () if self._local else ('path', 'under'):
                self._client.create_payload_index(self._name, field, models.PayloadSchemaType.KEYWORD)
        elif len(names) > len(columns):
            self._client.update_collection(self._name, metadata={'columns': names})

    def _point(self, moment: Moment) -> Any:
        payload = {name: getattr(moment, name) for name in ('path', 'start', 'end', 'stamp', 'columns')}
        payload['under'] = [moment.path, *map(str, PurePath(moment.path).parents)]
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, f'{moment.path}#{moment.start}'))
        return self._models.PointStruct(id=name, vector=moment.queries.float().tolist(), payload=payload)

    def remove(self, paths: Sequence[str], but: Sequence[str] = ()) -> None:
        """Takes files out, but for these points."""
        if paths and self._metadata():
            but = [self._models.HasIdCondition(has_id=list(but))]
            where = self._models.Filter(must=[self._any('path', paths)], must_not=but)
            self._client.delete(self._name, self._models.FilterSelector(filter=where), wait=True)

    def _any(self, field: str, values: Iterable[Any]) -> Any:
        return self._models.FieldCondition(key=field, match=self._models.MatchAny(any=list(values)))

    def _nearest(
        self, text: Tensor, k: int, conditions: list[Condition], by_video: bool, approximate: bool
    ) -> list[Hit]:
        options: dict[str, Any] = {
            'query': [text.tolist()],
            'query_filter': self._models.Filter(must=[self._condition(own) for own in conditions]),
            'search_params': None if self._local else self._models.SearchParams(exact=not approximate),
        }

        def best(n: int) -> list[Hit]:
            return [_hit(own) for own in self._client.query_points(self._name, limit=n, **options).points]

        if not by_video:
            return best(k)
        grouped = self._client.query_points_groups(
            self._name, group_by='path', limit=k, group_size=1, **options
        )
        if len(grouped.groups) == k:
            return [_hit(group.hits[0]) for group in grouped.groups]
        # a server gives up filling groups after some rounds: there may be more
        return distinct(best, k, len(self), by_video)

    def _condition(self, condition: Condition) -> Any:
        models = self._models
        name = condition.column if condition.column in BUILT_IN else f'columns.{condition.column}'
        if not condition.values:
            return models.FieldCondition(key=name, range=models.Range(gte=condition.low, lte=condition.high))
        if condition.column == 'path':
            return self._any('under', condition.values)
        # a match is of text, whole numbers and booleans: another number is a range of one
        ranges = [models.Range(gte=own, lte=own) for own in condition.values if type(own) in (int, float)]
        matches = [models.MatchValue(value=own) for own in condition.values if isinstance(own, (str, bool))]
        equal = [models.FieldCondition(key=name, range=own) for own in ranges]
        return models.Filter(should=equal + [models.FieldCondition(key=name, match=own) for own in matches])


def _hit(point: Any) -> Hit:
    own = point.payload
    scores = {'score': point.score, 'similarity': point.score, 'matching': None}
    return Hit(own['path'], own['start'], own['end'], **scores, columns=own['columns'])
