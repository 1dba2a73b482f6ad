"""Filling a feature cache: its key, and the pass over the clips."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from mmengine import dist
from mmengine.logging import print_log
from torch import nn
from torch.utils.data import DataLoader

from stgt_mm.datasets.clip_dataset import ClipDataset, broken_sample
from stgt_mm.datasets.collate import video_text_collate
from stgt_mm.datasets.feature_cache import FeatureCache
from stgt_mm.datasets.readers import VideoReadError
from stgt_mm.datasets.readers.shards import file_stamp, is_member
from stgt_mm.progress import ProgressLine
from stgt_mm.utils import evaluating

_POLL_SECONDS = 1.0


def module_fingerprint(module: nn.Module) -> str:
    """Hashes structure, parameters and buffers of a module to 64 hexadecimal digits."""
    digest = hashlib.sha256(repr(module).encode())
    tensors = [*module.named_parameters(), *module.named_buffers()]
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        value = tensor.detach().cpu().contiguous()
        digest.update(f'{name} {tuple(value.shape)} {value.dtype}'.encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def cache_key(dataset: ClipDataset, *modules: nn.Module) -> str:
    """Names what features depend on: files (path, size, time), ``reverse``, transforms, weights."""
    digest = hashlib.sha256()
    for clip in dataset.clips:
        path = dataset.path_of(clip)
        stamp = file_stamp(path)
        place = path if is_member(path) else Path(path).resolve()
        digest.update(f'{place} {stamp} {bool(clip.get("reverse", False))}\n'.encode())
    on_frames = [repr(step) for step in dataset.transforms if getattr(step, 'on_frames', True)]
    digest.update('\n'.join(on_frames).encode())
    prints = ' '.join(module_fingerprint(module) for module in modules)
    return f'{digest.hexdigest()} {prints}'


def _load_clips(dataset: ClipDataset, clips: list[int]) -> dict[str, Any]:
    """A batch of clips, those that cannot be read among its ``broken``."""
    samples = []
    for clip in clips:
        try:
            samples.append(dataset.load_clip(clip))
        except VideoReadError as error:
            samples.append(broken_sample(dataset.clips[clip], clip, error))
    return video_text_collate(samples)


def warm_cache(
    dataset: ClipDataset,
    backbone: nn.Module,
    preprocess: nn.Module,
    cache: FeatureCache,
    batch_size: int = 16,
    num_workers: int = 0,
    shard: tuple[int, int] = (0, 1),
) -> None:
    """Computes what a cache lacks of a data set's clips; stopped and called again, it goes on where it was.

    ``preprocess`` makes video (B, T, 3, H, W) of a collated batch, the frozen ``backbone`` tokens
    (B, T, 1 + N, C) of that. Clips that cannot be read are marked as broken. With ``shard``, (rank,
    processes), this process computes every n-th of the missing clips; the first shows how far it is.
    """
    todo = cache.missing()[shard[0] :: shard[1]]
    loader = DataLoader(todo, batch_size, num_workers=num_workers, collate_fn=partial(_load_clips, dataset))
    progress = ProgressLine(f'features of {dataset.ann_file.name}', len(todo), every=5.0)
    try:
        with torch.no_grad(), evaluating(backbone), progress if shard[0] == 0 else nullcontext():
            for batch in loader:
                broken, samples = batch.pop('broken', []), batch['data_samples']
                for sample in broken:
                    cache.mark_broken(sample.sample_idx, sample.broken)
                if samples:
                    tokens = backbone(preprocess(batch)['inputs']['video'])
                    cache.write([sample.sample_idx for sample in samples], tokens)
                if shard[0] == 0:
                    progress.advance(len(samples) + len(broken))
    finally:
        cache.flush()


@contextmanager
def _one_job_at_a_time(cache: FeatureCache, rank: int) -> Iterator[None]:
    """Lets one job fill a cache; the others wait, and take it up."""
    lock = FileLock(cache.folder.with_suffix('.warming.lock'))
    waits = 0
    while True:
        # all processes of a job ask together: one that waited alone would let the others run into the time
        # limit of their process group
        free = [True]
        if rank == 0:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                free = [False]
        dist.broadcast_object_list(free)
        if free[0]:
            break
        if not waits and rank == 0:
            print_log(f'Waiting for the process that is filling {cache.folder}', logger='current')
        waits += 1
        time.sleep(_POLL_SECONDS)
    try:
        cache.refresh()
        dist.barrier()  # nobody writes before everybody has seen the same
        yield
        dist.barrier()
    finally:
        lock.release()


def _item_shape(dataset: ClipDataset, backbone: nn.Module, preprocess: nn.Module) -> tuple[int, ...]:
    """Shape of the tokens of a clip, from the first one that can be read."""
    for clip in range(len(dataset.clips)):
        batch = _load_clips(dataset, [clip])
        if batch['inputs'] is None:
            continue
        with torch.no_grad(), evaluating(backbone):
            return tuple(backbone(preprocess(batch)['inputs']['video']).shape[1:])
    raise VideoReadError(str(dataset.root), f'none of {len(dataset.clips)} clips can be read')


def prepare_feature_cache(
    dataset: ClipDataset,
    backbone: nn.Module,
    preprocess: nn.Module,
    batch_size: int = 16,
    num_workers: int = 0,
) -> FeatureCache | None:
    """Makes, fills and puts to use the cache that a data set asks for, if it does.

    Every process calls it, before its data loader starts workers, with the final weights. The data set has
    ``feature_cache=dict(root=..., max_gib=20.0, dtype='float16')`` or None. A backbone that is trained and a
    random pipeline are a ValueError.
    """
    if dataset.feature_cache is None:
        return None
    if any(parameter.requires_grad for parameter in backbone.parameters()):
        raise ValueError(
            'features of a backbone in training cannot be cached: frozen=True or feature_cache=None.'
        )
    dataset.check_cacheable()
    rank, world = dist.get_dist_info()
    key = cache_key(dataset, backbone, preprocess)
    shape = _item_shape(dataset, backbone, preprocess)
    cache = FeatureCache(key=key, num_items=len(dataset.clips), item_shape=shape, **dataset.feature_cache)
    dist.barrier()
    incomplete = [bool(cache.missing())]
    dist.broadcast_object_list(incomplete)  # while another job writes, processes may see different things
    if incomplete[0]:
        with _one_job_at_a_time(cache, rank):
            warm_cache(dataset, backbone, preprocess, cache, batch_size, num_workers, (rank, world))
    cache.refresh()
    dataset.use_cache(cache)
    return cache
