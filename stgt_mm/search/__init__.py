"""Indexes of videos: what stands in one, what is asked of it, and the engines that hold it."""

from stgt_mm.search.base import Moment, VideoIndex
from stgt_mm.search.fingerprint import IndexMismatchError
from stgt_mm.search.opening import open_index

__all__ = ['IndexMismatchError', 'Moment', 'VideoIndex', 'open_index']
