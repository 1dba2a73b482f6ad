"""Data sets that give the tokens of a frozen backbone in place of frames."""

import json
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from filelock import FileLock, SoftFileLock
from forked import in_processes
from torch import nn

from stgt_mm.datasets import FeatureCache, VideoTextDataset, video_text_collate
from stgt_mm.datasets.feature_warming import cache_key, prepare_feature_cache, warm_cache
from stgt_mm.datasets.readers import VideoReadError, write_video
from stgt_mm.engine.loops import RetrievalLoop


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
    assert data[0]['data_samples'].text == 'One.'
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


def hold_and_die(path):
    FileLock(path).acquire()
    os._exit(0)


def test_a_lock_goes_with_its_holder(tmp_path):
    assert in_processes(1, hold_and_die, tmp_path / 'lock') == [0]
    with FileLock(tmp_path / 'lock', timeout=0):
        pass


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
    for module in ('feature_cache', 'feature_warming'):  # what filelock takes where there is no fcntl
        monkeypatch.setattr(f'stgt_mm.datasets.{module}.FileLock', SoftFileLock)
    data = VideoTextDataset(annotation, tmp_path, PIPELINE, feature_cache={'root': tmp_path / 'cache'})
    assert prepare_feature_cache(data, Backbone(), Preprocess()).missing() == []
    assert not list((tmp_path / 'cache').glob('*.lock'))


def test_interrupted_warming_goes_on(annotation, tmp_path):
    data = VideoTextDataset(annotation, tmp_path, PIPELINE)
    cache = FeatureCache(tmp_path / 'cache', 'key', len(data.clips), (2, 3, 1))

    class Stopped(Backbone):
        def forward(self, video):
            if self.clips:
                raise KeyboardInterrupt
            return super().forward(video)

    backbone = Stopped()
    with pytest.raises(KeyboardInterrupt):
        warm_cache(data, backbone, Preprocess(), cache, batch_size=2)
    with pytest.raises(ValueError, match='2 of 5'):
        data.use_cache(cache)
    resumed = FeatureCache(tmp_path / 'cache', 'key', len(data.clips), (2, 3, 1))
    rest = Backbone()
    warm_cache(data, rest, Preprocess(), resumed, batch_size=2)
    assert backbone.clips + rest.clips == 4 and resumed.missing() == []


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
