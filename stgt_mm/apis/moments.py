"""The moments of video files, read by workers and encoded in batches."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from stgt_mm.apis.base import Pipeline, read_clip
from stgt_mm.datasets.clip_dataset import broken_sample
from stgt_mm.datasets.collate import video_text_collate
from stgt_mm.datasets.readers import VideoReadError, open_video
from stgt_mm.datasets.transforms import LoadVideo
from stgt_mm.evaluation.shares import autocast, refuse_nan
from stgt_mm.search import Moment
from stgt_mm.search.windows import Windows, cut, duration


class MomentStream(IterableDataset):
    """Clips of files, whole or in windows; a worker reads a file from start to end.

    A sample is that of ``read_clip``; its ``sample_idx`` is the number of the file, its ``span`` where the
    clip is, ``last`` whether the file ends with it. A file that cannot be read ends with a broken sample.
    ``pipeline`` is that of ``clip_pipeline``.
    """

    def __init__(self, pipeline: Pipeline, paths: Sequence[str], windows: Windows | None = None) -> None:
        self.pipeline = pipeline
        self.paths = list(paths)
        self.windows = windows
        self._loader = next((step for step in pipeline if isinstance(step, LoadVideo)), None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for number in range(first, len(self.paths), step):
            path = self.paths[number]
            try:
                yield from self._read(number, path)
            except VideoReadError as error:
                yield broken_sample({'video': path, 'video_id': path}, number, error)

    def _read(self, number: int, path: str) -> Iterator[dict[str, Any]]:
        spans = [None] if self.windows is None else cut(self._duration(path), self.windows)
        for place, span in enumerate(spans):
            sample = read_clip(self.pipeline, path, *(span if len(spans) > 1 else ()))
            # asked for after reading: by then the length is known, and the file not decoded for it
            about = {'span': span or (0.0, self._duration(path)), 'last': place == len(spans) - 1}
            sample['data_samples'].set_metainfo({'sample_idx': number, **about})
            yield sample

    def _duration(self, path: str) -> float | None:
        """Seconds of a file; a whole one need not say."""
        if self._loader is not None:
            with open_video(path, self._loader.reader, self._loader.exact) as reader:
                if reader.times is not None:
                    return duration(reader.times)
        if self.windows is not None:
            raise VideoReadError(path, 'it does not say when its frames are shown, and cannot be cut')
        return None


@torch.no_grad()
def encode_files(
    model: nn.Module,
    stream: MomentStream,
    batch_size: int,
    num_workers: int,
    amp: torch.dtype | None,
    encode: Callable[..., Iterable[Any]] | None = None,
) -> Iterator[tuple[int, list[Any] | str]]:
    """Encodes files; yields the number of each when it is done, and its moments or why it cannot be read.

    ``encode``, called like ``encode_batch``, may make something else of a batch than moments.
    """
    encode = encode or encode_batch
    pending: dict[int, list[Any]] = {}
    workers = min(num_workers, len(stream.paths))
    loader = DataLoader(stream, batch_size, num_workers=workers, collate_fn=video_text_collate)
    with warnings.catch_warnings():
        # it warns of children that would use an index that was open before: workers read videos only
        warnings.filterwarnings('ignore', message='lancedb fork')
        batches = iter(loader)
    for batch in batches:
        broken = batch.pop('broken', [])
        for sample, moment in zip(batch['data_samples'], encode(model, batch, amp)):
            pending.setdefault(sample.sample_idx, []).append(moment)
            if sample.last:
                yield sample.sample_idx, pending.pop(sample.sample_idx)
        for sample in broken:
            pending.pop(sample.sample_idx, None)
            yield sample.sample_idx, sample.broken.removeprefix(f'cannot read video {sample.video}: ')


@torch.no_grad()
def encode_batch(model: nn.Module, batch: dict[str, Any], amp: torch.dtype | None) -> list[Moment]:
    """Encodes a collated batch; where a clip is, is its sample's ``span``."""
    samples = batch['data_samples']
    if not samples:
        return []
    with autocast(model, amp):
        features = model.encode_video(model.data_preprocessor(batch, False)['inputs'])
    tokens = [None] * len(samples) if features.tokens is None else features.tokens.cpu()
    queries = refuse_nan(features.queries.float().cpu(), 'query embeddings')
    return [
        Moment(sample.video, *sample.get('span', (0.0, None)), *own)
        for sample, *own in zip(samples, queries, tokens)
    ]
