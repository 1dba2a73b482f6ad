"""An index on a Qdrant server, for more videos than one machine holds."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor

from stgt_mm.search.base import Found, Known, Moment, VideoIndex, best_of_videos
from stgt_mm.search.filters import BUILT_IN, Condition
from stgt_mm.search.fingerprint import check_made_from

SCHEME = 'qdrant://'
IN_MEMORY = ':memory:'
_POINTS = 200  # a request: 32 MiB are the most that a server takes


class QdrantIndex(VideoIndex):
    """A collection of moments, a multivector each, compared by the largest cosine.

    A file that was changed is written before its old moments go: a crash leaves both, and the next indexing
    sees that. Video tokens are not kept.

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
            raise ImportError(
                f"'{url}' needs qdrant-client: pip install qdrant-client"
            ) from error
        host, _, self._name = url.removeprefix(SCHEME).partition('/')
        if not host or not self._name or '/' in self._name:
            raise ValueError(f"'{url}' is no index: write qdrant://host:port/collection.")
        self.where = url
        self.made_from = made_from
        self._models = models
        self._local = host == IN_MEMORY
        if self._local:
            self._client = QdrantClient(IN_MEMORY)
        else:
            parts = urlsplit(f'//{host}')
            self._client = QdrantClient(host=parts.hostname, port=parts.port or 6333)
        if self._client.collection_exists(self._name):
            known = (self._client.get_collection(self._name).config.metadata or {}).get('made_from')
            check_made_from(known, made_from, url, 'Name another collection, or delete this one.')

    def _exists(self) -> bool:
        return self._client.collection_exists(self._name)

    def __len__(self) -> int:
        return self._client.count(self._name).count if self._exists() else 0

    def _scroll(self, where: Any = None, vectors: bool = False, fields: Any = True) -> Iterator[Any]:
        offset = None
        while self._exists():
            points, offset = self._client.scroll(
                self._name, where, limit=_POINTS, offset=offset, with_payload=fields, with_vectors=vectors
            )
            yield from points
            if offset is None:
                return

    def files(self) -> dict[str, Known]:
        """Returns what is known of each file; one that a crash left half replaced has an empty stamp."""
        known: dict[str, Known] = {}
        for point in self._scroll(fields=['path', 'stamp', 'columns']):
            own = Known(point.payload['stamp'], point.payload['columns'])
            before = known.setdefault(point.payload['path'], own)
            if before.stamp != own.stamp:
                known[point.payload['path']] = before._replace(stamp='')
        return known

    def columns(self) -> set[str]:
        """Returns the names of the user's own columns."""
        if not self._exists():
            return set()
        return set((self._client.get_collection(self._name).config.metadata or {}).get('columns', ()))

    def write(self, moments: Sequence[Moment]) -> None:
        """Puts in all moments of some files, then takes out what was known of these."""
        self._prepare(moments)
        points = [self._point(moment) for moment in moments]
        for start in range(0, len(points), _POINTS):
            self._client.upsert(self._name, points[start : start + _POINTS], wait=True)
        new = self._models.HasIdCondition(has_id=[point.id for point in points])
        paths = sorted({moment.path for moment in moments})
        self._delete(self._models.Filter(must=[self._any('path', paths)], must_not=[new]))

    def _prepare(self, moments: Sequence[Moment]) -> None:
        names = {name for moment in moments for name in moment.columns}
        if not self._exists():
            models = self._models
            largest = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
            vectors = models.VectorParams(
                size=moments[0].queries.shape[1], distance=models.Distance.DOT, multivector_config=largest
            )
            metadata = {'made_from': self.made_from, 'columns': sorted(names)}
            self._client.create_collection(self._name, vectors_config=vectors, metadata=metadata)
            for field in () if self._local else ('path', 'under'):
                self._client.create_payload_index(self._name, field, models.PayloadSchemaType.KEYWORD)
        elif not names <= self.columns():
            columns = sorted(names | self.columns())
            self._client.update_collection(self._name, metadata={'columns': columns})

    def _point(self, moment: Moment) -> Any:
        payload = {
            'path': moment.path,
            'under': [moment.path, *map(str, PurePath(moment.path).parents)],
            'start': moment.start,
            'end': moment.end,
            'stamp': moment.stamp,
            'columns': moment.columns,
        }
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, f'{moment.path}#{moment.start}'))
        vector = moment.queries.float().tolist()
        return self._models.PointStruct(id=name, vector=vector, payload=payload)

    def read(self, paths: Sequence[str]) -> list[Moment]:
        """Returns the moments of files as they can be written again."""
        where = self._models.Filter(must=[self._any('path', paths)])
        return [_moment(point, point.vector) for point in self._scroll(where, vectors=True)]

    def remove(self, paths: Sequence[str]) -> None:
        """Takes files out."""
        if paths and self._exists():
            self._delete(self._models.Filter(must=[self._any('path', paths)]))

    def _delete(self, where: Any) -> None:
        self._client.delete(self._name, self._models.FilterSelector(filter=where), wait=True)

    def _any(self, field: str, values: Sequence[Any]) -> Any:
        match = self._models.MatchAny(any=list(values))
        return self._models.FieldCondition(key=field, match=match)

    def _nearest(
        self, text: Tensor, k: int, conditions: list[Condition], by_video: bool, approximate: bool
    ) -> list[Found]:
        options: dict[str, Any] = {
            'query': [text.float().tolist()],
            'query_filter': self._models.Filter(must=[self._condition(own) for own in conditions]),
            'search_params': None if self._local else self._models.SearchParams(exact=not approximate),
        }

        def best(n: int) -> list[Found]:
            return _found(self._client.query_points(self._name, limit=n, **options).points)

        if not by_video:
            return best(k)
        groups = self._client.query_points_groups(
            self._name, group_by='path', limit=k, group_size=1, **options
        ).groups
        if len(groups) == k:
            return _found(group.hits[0] for group in groups)
        # a server gives up filling groups after some rounds: there may be more
        return best_of_videos(best, k, len(self))

    def _condition(self, condition: Condition) -> Any:
        models = self._models
        name = condition.column if condition.column in BUILT_IN else f'columns.{condition.column}'
        if not condition.values:
            limits = models.Range(gte=condition.low, lte=condition.high)
            return models.FieldCondition(key=name, range=limits)
        if condition.column == 'path':
            return self._any('under', condition.values)
        # a match is of text, whole numbers and booleans: a number is a range of one
        equal = [
            models.FieldCondition(key=name, range=models.Range(gte=value, lte=value))
            if isinstance(value, (int, float)) and not isinstance(value, bool)
            else models.FieldCondition(key=name, match=models.MatchValue(value=value))
            for value in condition.values
        ]
        return models.Filter(should=equal)


def _found(points: Iterable[Any]) -> list[Found]:
    return [Found(_moment(point), point.score) for point in points]


def _moment(point: Any, vector: Any = None) -> Moment:
    fields = {name: point.payload[name] for name in ('path', 'start', 'end', 'stamp', 'columns')}
    return Moment(**fields, queries=None if vector is None else torch.tensor(vector))
