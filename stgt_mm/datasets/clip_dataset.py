"""The base of data sets: records, a pipeline, and the frames or cached tokens of a clip."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Dataset

from stgt_mm.datasets.feature_cache import FeatureCache
from stgt_mm.datasets.missing_videos import check_videos
from stgt_mm.datasets.readers import VideoReadError
from stgt_mm.datasets.records import AnnotationError, Records, read_records
from stgt_mm.datasets.video_root import find_root
from stgt_mm.registry import TRANSFORMS
from stgt_mm.structures import VideoTextSample


class ClipDataset(Dataset):
    """Records of an annotation file and the way from a record to a sample.

    A sample's randomness is a numpy Generator seeded by (seed, epoch, index). Epoch and seed come with an
    index that is an :class:`~stgt_mm.datasets.samplers.EpochIndex`, so that workers that live for many epochs
    need no message; a plain index means epoch 0 and the seed of the data set.

    Attributes:
        records: What is iterated over, a sequence of dicts.
        num_missing: Files that were not found and were skipped or kept.

    Args:
        ann_file: JSON-lines file, see :func:`~stgt_mm.datasets.records.read_records`.
        video_root: Folder that the ``video`` paths are relative to, or that ``make_shards.py``
            wrote, whose members they name; shards may lie at an fsspec address, ``s3://bucket/w10m`` say.
        pipeline: Configs of transforms, ending in ``PackVideoText``.
        missing: What to do when some videos are absent: ``'error'``, ``'skip'`` or ``'keep'``.
        seed: Seed of samples that are asked for by a plain index.
        required: Keys that every line must have.
        feature_cache: Off when None. Options of
            :func:`~stgt_mm.datasets.feature_cache.prepare_feature_cache`: ``root`` and, optionally,
            ``max_gib`` and ``dtype``.
        made_by: What makes the files, a command for example; said where they are missing.
        allow_outside: Whether ``video`` paths may lead out of ``video_root`` (absolute, or with ``..``).

    Raises:
        FileNotFoundError: If the annotation file or the videos are missing.
        AnnotationError: If a line of the annotation file is wrong, or names a file outside of the root.
        ValueError: If a random transform is to be cached.
    """

    def __init__(
        self,
        ann_file: str | Path,
        video_root: str | Path,
        pipeline: Sequence[dict[str, Any]],
        missing: str = 'error',
        seed: int = 0,
        required: Sequence[str] = ('video', 'text'),
        feature_cache: dict[str, Any] | None = None,
        made_by: str | None = None,
        allow_outside: bool = False,
    ) -> None:
        self.ann_file = Path(ann_file)
        self.root = find_root(video_root)
        self.seed = seed
        self.transforms = [TRANSFORMS.build(dict(step)) for step in pipeline]
        self.feature_cache = feature_cache
        self.made_by = made_by
        if feature_cache is not None:
            self.check_cacheable()
        records = read_records(ann_file, required, made_by)
        if records.outside and not allow_outside:
            raise AnnotationError(
                f"'{self.ann_file}' names {records.outside!r}, which leads out of video_root="
                f"'{self.root}'. Write paths below it, or set allow_outside=True of the data set."
            )
        records, self.num_missing = check_videos(records, video_root, missing)
        if self.num_missing:
            print_log(
                f'{self.num_missing} videos of {self.ann_file} are missing ({missing}).',
                logger='current',
                level=logging.WARNING,
            )
        self._annotation = records
        self._cache: FeatureCache | None = None
        self._set_records(records)

    def _set_records(self, records: Records) -> None:
        self.records: Sequence[dict[str, Any]] = records

    @cached_property
    def _unique_clips(self) -> tuple[list[dict[str, Any]], list[int]]:
        return unique_clips(self.records)

    @property
    def clips(self) -> list[dict[str, Any]]:
        """The first record of each (video_id, direction of time), what a feature cache holds."""
        return self._unique_clips[0]

    @property
    def clip_of(self) -> list[int]:
        """For each record, its index in ``clips``."""
        return self._unique_clips[1]

    @property
    def metainfo(self) -> dict[str, Any]:
        """Name and origin of the data, as mmengine's visualizer and logs want them."""
        return {'dataset_type': type(self).__name__, 'ann_file': str(self.ann_file)}

    def __len__(self) -> int:
        return len(self.records)

    def path_of(self, record: dict[str, Any]) -> str:
        """Returns the file of a record, or its address in a shard."""
        return self.root.address(record['video'])

    def rng_of(self, index: int) -> np.random.Generator:
        """Makes the generator of a sample: a function of seed, epoch and index alone."""
        seed = getattr(index, 'seed', self.seed)
        return np.random.default_rng((seed, getattr(index, 'epoch', 0), int(index)))

    def check_cacheable(self) -> None:
        """Raises ValueError if a transform is random, or does not say whether it is."""
        for transform in self.transforms:
            if getattr(transform, 'is_random', True):
                raise ValueError(
                    f'features cannot be cached behind {transform!r}, which is random (or lacks '
                    "`is_random = False`). Use LoadVideo(sampling='uniform') and Resize, or "
                    'feature_cache=None.'
                )

    @property
    def uses_cache(self) -> bool:
        """Whether samples are cached tokens by now."""
        return self._cache is not None

    @property
    def content_hash(self) -> str:
        """SHA-256 of the lines that are used, in their order: where the annotation lies does not count."""
        return self._annotation.content_hash

    def use_cache(self, cache: FeatureCache | None) -> None:
        """Gives tokens of a complete cache of ``clips`` from now on; with None, frames again."""
        if cache is not None:
            self.check_cacheable()
            missing = len(cache.missing())
            if cache.num_items != len(self.clips) or missing:
                raise ValueError(
                    f'the cache {cache.folder} holds {cache.num_items - missing} of {len(self.clips)} clips. '
                    'Fill it with warm_cache first.'
                )
        self._cache = cache

    def load_clip(self, clip: int) -> dict[str, Any]:
        """Loads frames of one of ``clips``, uint8 (T, 3, H, W), without text, even if a cache is in use."""
        return self._run(self._start(self.clips[clip], clip, self.rng_of(clip)), self.transforms)

    def _start(self, record: dict[str, Any], index: int, rng: np.random.Generator) -> dict[str, Any]:
        return {
            'record': record,
            'rng': rng,
            'sample_idx': int(index),
            'video': self.path_of(record),
            'video_id': record['video_id'],
        }

    def _load(self, results: dict[str, Any], place: int) -> dict[str, Any]:
        """From ``results`` of the record at a place to a packed sample, through the cache if there is one."""
        if self._cache is None:
            return self._run(results, self.transforms)
        clip = self.clip_of[place]
        why = self._cache.broken.get(clip)
        if why is not None:
            raise VideoReadError(results['video'], why)
        results['tokens'] = self._cache.read(clip)
        return self._run(results, [step for step in self.transforms if not getattr(step, 'on_frames', True)])

    @staticmethod
    def _run(results: dict[str, Any], transforms: Sequence[Any]) -> dict[str, Any]:
        for transform in transforms:
            results = transform(results)
        return results


def unique_clips(records: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[int]]:
    """Finds the first record of each (video_id, ``reverse``), and for each record its index in these."""
    places: dict[tuple[str, bool], int] = {}
    clips: list[dict[str, Any]] = []
    clip_of = []
    for record in records:
        key = (record['video_id'], bool(record.get('reverse', False)))
        if key not in places:
            places[key] = len(clips)
            clips.append(record)
        clip_of.append(places[key])
    return clips, clip_of


def broken_sample(record: dict[str, Any], index: int, error: VideoReadError) -> dict[str, Any]:
    """Stands in for a clip that cannot be read: ``inputs`` None, the reason in its metainfo as ``broken``."""
    metainfo = {
        'sample_idx': int(index),
        'video': record['video'],
        'video_id': record['video_id'],
        'broken': str(error),
    }
    return {'inputs': None, 'data_samples': VideoTextSample(metainfo=metainfo)}
