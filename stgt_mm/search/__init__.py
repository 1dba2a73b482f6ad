"""Indexes of videos: what stands in one, what is asked of it, and the engines that hold it."""

from stgt_mm.search.base import Hit, Moment, VideoIndex
from stgt_mm.search.fingerprint import IndexMismatchError
from stgt_mm.search.lance_index import LanceIndex
from stgt_mm.search.qdrant_index import QdrantIndex

__all__ = ['Hit', 'IndexMismatchError', 'LanceIndex', 'Moment', 'QdrantIndex', 'VideoIndex']
