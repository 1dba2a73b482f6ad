import json
import multiprocessing
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from stgt_mm.datasets import FeatureCache, FeatureCacheError, VideoTextDataset, video_text_collate
from stgt_mm.datasets.feature_warming import cache_key, prepare_feature_cache, warm_cache
from stgt_mm.datasets.readers import VideoReadError, write_video
from stgt_mm.engine.loops import RetrievalLoop

SHAPE = (2, 3, 4)


def items(count, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, *SHAPE)).astype(np.float16))


def test_write_read_and_go_on(tmp_path):
    values = items(5)
    cache = FeatureCache(tmp_path, 'key', 5, SHAPE)
    cache.write([3, 0], values[[3, 0]])
    cache.flush()
    again = FeatureCache(tmp_path, 'key', 5, SHAPE)
    assert again.missing() == [1, 2, 4]
    again.write([1, 2, 4], values[[1, 2, 4]].float())
    again.flush()
    full = FeatureCache(tmp_path, 'key', 5, SHAPE)
    assert full.missing() == [] and full.folder == cache.folder
    for index in range(5):
        assert torch.equal(full.read(index), values[index]) and full.read(index).dtype == torch.float16
    assert FeatureCache(tmp_path, 'other key', 5, SHAPE).missing() == list(range(5))


def test_item_that_is_absent_or_damaged_is_never_given(tmp_path):
    cache = FeatureCache(tmp_path, 'key', 3, SHAPE)
    with pytest.raises(FeatureCacheError, match='not in'):
        cache.read(0)
    cache.write([0, 1], items(2))
    cache.flush()
    data = cache.folder / 'features.npy'
    raw = bytearray(data.read_bytes())
    raw[-2 * cache.item_bytes + 5] ^= 1
    data.write_bytes(raw)
    damaged = FeatureCache(tmp_path, 'key', 3, SHAPE)
    assert torch.equal(damaged.read(0), items(2)[0])
    with pytest.raises(FeatureCacheError, match='damaged'):
        damaged.read(1)


@pytest.mark.parametrize('damage', ['truncated', 'no data', 'half an index', 'other index'])
def test_folder_that_does_not_fit_is_begun_anew(tmp_path, damage):
    cache = FeatureCache(tmp_path, 'key', 3, SHAPE, writer='0')
    cache.write([0, 1, 2], items(3))
    cache.flush()
    data, index = cache.folder / 'features.npy', cache.folder / 'index-0.json'
    if damage == 'truncated':
        data.write_bytes(data.read_bytes()[:-1])
    elif damage == 'no data':
        data.unlink()
    elif damage == 'half an index':
        index.write_text(index.read_text()[:-9])
    else:
        index.write_text(json.dumps({**json.loads(index.read_text()), 'head': {'version': 0}}))
    assert FeatureCache(tmp_path, 'key', 3, SHAPE).missing() == [0, 1, 2]


def test_two_writers_share_one_cache(tmp_path):
    values = items(4)
    first, second = (FeatureCache(tmp_path, 'key', 4, SHAPE, writer=name) for name in '01')
    first.write([0, 2], values[[0, 2]])
    second.write([1], values[[1]])
    second.mark_broken(3, 'no video')
    second.flush()
    first.refresh()
    assert first.missing() == [] and first.broken == {3: 'no video'}
    assert torch.equal(first.read(1), values[1])


def in_processes(count, work, *args):
    """Runs ``work(*args)`` in forked processes that begin at the same time; their exit codes."""
    context = multiprocessing.get_context('fork')
    start = context.Barrier(count)

    def run():
        start.wait()
        work(*args)

    processes = [context.Process(target=run) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def build_many(root):
    for key in range(40):
        cache = FeatureCache(root, str(key), 4, SHAPE)
        for item in range(4):
            cache.write([item], items(4)[[item]])
            cache.flush()


def test_processes_that_build_the_same_cache_do_not_disturb_each_other(tmp_path):
    assert in_processes(3, build_many, tmp_path) == [0, 0, 0]
    for key in range(40):
        cache = FeatureCache(tmp_path, str(key), 4, SHAPE)
        assert cache.missing() == [] and not list(cache.folder.glob('*.partial'))
        assert all(torch.equal(cache.read(index), items(4)[index]) for index in range(4))


def test_cost_of_a_batch_does_not_grow_with_the_cache(tmp_path, monkeypatch):
    cache = FeatureCache(tmp_path, 'key', 200, SHAPE)
    synced = []
    sync = os.fsync
    monkeypatch.setattr(os, 'fsync', lambda number: (synced.append(number), sync(number)))
    for item in range(200):
        cache.write([item], items(200)[[item]])
    cache.flush()
    assert len(synced) < 40
    assert FeatureCache(tmp_path, 'key', 200, SHAPE).missing() == []


def test_refreshing_keeps_what_is_not_on_disk_yet(tmp_path):
    cache = FeatureCache(tmp_path, 'key', 3, SHAPE)
    cache.write([0], items(3)[:1])
    cache.flush()
    cache.write([1], items(3)[1:2])
    cache.refresh()
    assert cache.missing() == [2] and torch.equal(cache.read(1), items(3)[1])
    cache.flush()
    assert FeatureCache(tmp_path, 'key', 3, SHAPE).missing() == [2]


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match='max_gib'):
        FeatureCache(tmp_path, 'key', 10**6, (8, 257, 1408))
    with pytest.raises(ValueError, match='float32'):
        FeatureCache(tmp_path, 'key', 1, SHAPE).write([0], torch.full((1, *SHAPE), 1e6))
    with pytest.raises(ValueError, match='do not fit'):
        FeatureCache(tmp_path, 'key', 2, SHAPE).write([0, 1], items(1))


class Backbone(nn.Module):
    """One token a colour channel; counts the clips it has seen."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor), requires_grad=False)
        self.clips = 0

    def forward(self, video):
        self.clips += len(video)
        return video.mean(dim=(3, 4), keepdim=True)[..., 0] * self.factor


class Preprocess(nn.Module):
    def forward(self, batch):
        return {'inputs': {'video': batch['inputs'].float()}}


PIPELINE = [
    {'type': 'LoadVideo', 'num_frames': 2},
    {'type': 'ReverseTime'},
    {'type': 'Resize', 'size': 8},
    {'type': 'CleanText'},
    {'type': 'PackVideoText'},
]


@pytest.fixture
def annotation(tmp_path):
    for clip in range(3):
        levels = np.linspace(60 * clip, 60 * clip + 80, 6).astype(np.uint8)
        write_video(
            tmp_path / f'v{clip}.mp4', np.broadcast_to(levels[:, None, None, None], (6, 16, 16, 3)), 6
        )
    (tmp_path / 'bad.mp4').write_text('no video')
    rows = [(f'v{clip}.mp4', text, False) for clip in range(3) for text in ('One.', 'two')]
    rows += [('v0.mp4', 'back', True), ('bad.mp4', 'bad', False)]
    path = tmp_path / 'a.jsonl'
    lines = [json.dumps({'video': v, 'text': t, 'reverse': r}) for v, t, r in rows]
    path.write_text('\n'.join(lines))
    return path


def test_dataset_gives_the_backbone_tokens(annotation, tmp_path):
    backbone, preprocess = Backbone(), Preprocess()
    data = VideoTextDataset(annotation, tmp_path, PIPELINE, feature_cache={'root': tmp_path / 'cache'})
    frames = [data[index]['inputs'] for index in range(7)]
    cache = prepare_feature_cache(data, backbone, preprocess, batch_size=2)
    assert backbone.clips == 1 + 4 and list(cache.broken) == [4]
    for index in range(7):
        sample = data[index]
        expected = backbone(frames[index][None].float())[0]
        assert (
            sample['inputs'].shape == (2, 3, 1)
            and sample['data_samples'].video_id == data.records[index]['video_id']
        )
        assert (sample['inputs'].float() - expected).abs().max() < 0.1
    assert data[0]['data_samples'].text == 'one'
    assert torch.equal(data[6]['inputs'], data[0]['inputs'].flip(0))
    assert 'replaced' in data[7]['data_samples']
    batch = video_text_collate([data[0], data[1]])
    assert batch['inputs'].shape == (2, 2, 3, 1)
    seen = backbone.clips
    prepare_feature_cache(data, backbone, preprocess)
    assert backbone.clips == seen + 1


def use_one_cache(annotation, root, out):
    class Slow(Backbone):
        def forward(self, video):
            time.sleep(0.2)
            return super().forward(video)

    data = VideoTextDataset(annotation, root, PIPELINE, feature_cache={'root': root / 'cache'})
    backbone = Slow()
    prepare_feature_cache(data, backbone, Preprocess(), batch_size=1)
    (out / f'{os.getpid()}.json').write_text(json.dumps([backbone.clips, float(data[2]['inputs'].sum())]))


def test_jobs_that_start_together_fill_a_cache_once(annotation, tmp_path, monkeypatch):
    monkeypatch.setattr('stgt_mm.datasets.feature_warming._POLL_SECONDS', 0.05)
    out = tmp_path / 'out'
    out.mkdir()
    assert in_processes(3, use_one_cache, annotation, tmp_path, out) == [0, 0, 0]
    clips, sums = zip(*(json.loads(path.read_text()) for path in out.iterdir()), strict=True)
    assert sorted(clips) == [1, 1, 5] and len(set(sums)) == 1  # one clip each for the shape, four in all


def test_validation_takes_up_a_cache_that_is_in_use(annotation, tmp_path):
    data = VideoTextDataset(annotation, tmp_path, PIPELINE, feature_cache={'root': tmp_path / 'cache'})
    backbone = Backbone()
    loop = SimpleNamespace(model=SimpleNamespace(backbone=backbone, data_preprocessor=Preprocess()))
    RetrievalLoop._prepare_cache(loop, data)
    assert data.uses_cache and backbone.clips == 5
    RetrievalLoop._prepare_cache(loop, data)
    data_of_hook = VideoTextDataset(annotation, tmp_path, PIPELINE, feature_cache=data.feature_cache)
    prepare_feature_cache(data_of_hook, backbone, Preprocess())
    seen = backbone.clips
    RetrievalLoop._prepare_cache(loop, data_of_hook)
    assert backbone.clips == seen == 6


def test_hash_of_the_records_does_not_depend_on_the_place(annotation, tmp_path):
    data = VideoTextDataset(annotation, tmp_path, PIPELINE)
    moved = annotation.with_name('moved.jsonl')
    moved.write_text(annotation.read_text())
    assert VideoTextDataset(moved, tmp_path, PIPELINE).content_hash == data.content_hash
    moved.write_text(annotation.read_text().replace('two', 'ten', 1))
    assert VideoTextDataset(moved, tmp_path, PIPELINE).content_hash != data.content_hash


def test_without_file_locks_a_cache_still_works(annotation, tmp_path, monkeypatch):
    monkeypatch.setattr('stgt_mm.datasets.file_lock.fcntl', None)
    data = VideoTextDataset(annotation, tmp_path, PIPELINE, feature_cache={'root': tmp_path / 'cache'})
    assert prepare_feature_cache(data, Backbone(), Preprocess()).missing() == []
    assert not list((tmp_path / 'cache').glob('*.lock'))


def test_interrupted_warming_goes_on(annotation, tmp_path):
    data = VideoTextDataset(annotation, tmp_path, PIPELINE)
    cache = FeatureCache(tmp_path / 'cache', 'key', len(data.clips), (2, 3, 1))

    def stop(done, total):
        raise KeyboardInterrupt

    backbone = Backbone()
    with pytest.raises(KeyboardInterrupt):
        warm_cache(data, backbone, Preprocess(), cache, batch_size=2, progress=stop)
    with pytest.raises(ValueError, match='2 of 5'):
        data.use_cache(cache)
    resumed = FeatureCache(tmp_path / 'cache', 'key', len(data.clips), (2, 3, 1))
    warm_cache(data, backbone, Preprocess(), resumed, batch_size=2)
    assert backbone.clips == 4 and resumed.missing() == []


def test_key_depends_on_files_transforms_and_weights(annotation, tmp_path):
    data = VideoTextDataset(annotation, tmp_path, PIPELINE)
    key = cache_key(data, Backbone())
    assert cache_key(VideoTextDataset(annotation, tmp_path, PIPELINE), Backbone()) == key
    assert cache_key(data, Backbone(2.0)) != key
    larger = [*PIPELINE[:2], {'type': 'Resize', 'size': 9}, *PIPELINE[3:]]
    assert cache_key(VideoTextDataset(annotation, tmp_path, larger), Backbone()) != key
    with (tmp_path / 'v1.mp4').open('ab') as file:
        file.write(b'\0')
    assert cache_key(data, Backbone()) != key


def test_random_pipeline_and_trained_backbone_are_refused(annotation, tmp_path):
    options = {'feature_cache': {'root': tmp_path / 'cache'}}
    crop = [PIPELINE[0], {'type': 'RandomResizedCrop', 'size': 8}, PIPELINE[-1]]
    with pytest.raises(ValueError, match='RandomResizedCrop'):
        VideoTextDataset(annotation, tmp_path, crop, **options)
    head = [{**PIPELINE[0], 'sampling': 'headtail'}, *PIPELINE[1:]]
    with pytest.raises(ValueError, match='headtail'):
        VideoTextDataset(annotation, tmp_path, head, **options)
    trained = Backbone().requires_grad_(True)
    with pytest.raises(ValueError, match='frozen'):
        prepare_feature_cache(
            VideoTextDataset(annotation, tmp_path, PIPELINE, **options), trained, Preprocess()
        )


def test_nothing_readable(tmp_path):
    (tmp_path / 'bad.mp4').write_text('no video')
    path = tmp_path / 'a.jsonl'
    path.write_text(json.dumps({'video': 'bad.mp4', 'text': 'a'}))
    data = VideoTextDataset(path, tmp_path, PIPELINE, feature_cache={'root': tmp_path / 'cache'})
    with pytest.raises(VideoReadError, match='none of 1 clips'):
        prepare_feature_cache(data, Backbone(), Preprocess())
