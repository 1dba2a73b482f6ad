"""Clips in shards: the same batches as from files, and every damage named by shard and member."""

import copy

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from stgt_mm.datasets import EpochSampler, MissingVideosError, VideoTextDataset, video_text_collate
from stgt_mm.datasets.readers import (
    ClipShards,
    ShardsError,
    VideoReadError,
    available_readers,
    read_frames,
    read_image,
    write_video,
)
from stgt_mm.datasets.readers.shards import INDEX, open_shards
from stgt_mm.datasets.records import write_records
from stgt_mm.jobs import Engine
from stgt_mm.preparation.sharding import make_shards

PIPELINE = [
    {'type': 'LoadVideo', 'num_frames': 4, 'sampling': 'headtail'},
    {'type': 'RandomResizedCrop', 'size': 16},
    {'type': 'RandAugment'},
    {'type': 'PackVideoText'},
]
NAMES = [f'{folder}/v{n}.mp4' for n in range(4) for folder in ('a', 'b')]


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp('files')
    rng = np.random.default_rng(0)
    for name in NAMES:
        write_video(root / name, rng.integers(0, 255, (24, 32, 64, 3), np.uint8))
    Image.fromarray(rng.integers(0, 255, (9, 7, 3), np.uint8)).save(root / 'still.png')
    write_records([{'video': name, 'text': name} for name in [*NAMES, 'still.png']], root / 'all.jsonl')
    write_records([{'video': name, 'text': name} for name in NAMES], root / 'clips.jsonl')
    return root


@pytest.fixture
def shards(files, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    make_shards(files / 'all.jsonl', files, tmp_path / 'shards', Engine(), clips=4)
    return tmp_path / 'shards'


@pytest.fixture
def remote(shards):
    address = f'memory://{shards}'
    memory = fsspec.filesystem('memory')
    memory.put(f'{shards}/', address, recursive=True)
    yield address
    memory.rm(address, recursive=True)


def batches(files, root):
    data = VideoTextDataset(files / 'clips.jsonl', root, PIPELINE)
    sampler = EpochSampler(data, shuffle=True, seed=3)
    sampler.set_epoch(1)
    loader = DataLoader(data, 2, sampler=sampler, num_workers=2, collate_fn=video_text_collate)
    taken = list(loader)
    return [batch['inputs'] for batch in taken], [
        (sample.video_id, sample.frame_indices) for batch in taken for sample in batch['data_samples']
    ]


def test_training_batches_equal_those_from_files_in_every_bit(files, shards, remote):
    """Forked workers read; of the memory file system they have what was there when they began."""
    truth, order = batches(files, files)
    assert len(truth) == 4 and len({str(clip) for clip in order}) == 8
    for root in (shards, str(shards), remote):
        found, same = batches(files, root)
        assert same == order
        assert all(torch.equal(a, b) for a, b in zip(truth, found, strict=True))


@pytest.mark.parametrize('reader', available_readers()[:2])
def test_every_reader_takes_a_member(files, shards, reader):
    address = open_shards(str(shards)).address('b/v2.mp4')
    assert address == f'tar://b/v2.mp4::{shards}/clips-000001.tar'
    for _ in range(2):  # counted, and then known
        assert np.array_equal(read_frames(address, 5, reader), read_frames(files / 'b/v2.mp4', 5, reader))
    still = open_shards(str(shards)).address('still.png')
    assert np.array_equal(read_image(still), read_image(files / 'still.png'))
    with pytest.raises(VideoReadError, match=r'clips-000000.tar: .*not a picture'):
        read_image(open_shards(str(shards)).address('a/v0.mp4'))


def test_damage_is_named_by_shard_and_member(shards, remote):
    opened = ClipShards(str(shards))
    first, last = (opened.address(name) for name in ('a/v0.mp4', 'b/v1.mp4'))
    tar = shards / 'clips-000000.tar'
    whole = bytearray(tar.read_bytes())
    whole[opened.row('a/v0.mp4')['offset'] + 99] ^= 1
    tar.write_bytes(whole)
    with pytest.raises(VideoReadError, match=r'a/v0.mp4::.*clips-000000.tar: .*do not fit the checksum'):
        read_frames(first)
    read_frames(last)
    tar.write_bytes(whole[: opened.row('b/v1.mp4')['offset'] + 50])
    with pytest.raises(VideoReadError, match=r'b/v1.mp4::.*clips-000000.tar: .*the shard ends at byte'):
        read_frames(last)
    with pytest.raises(ShardsError, match=r'1 of 3 shards in .*: clips-000000.tar has \d+ of \d+ bytes'):
        ClipShards(str(shards))
    tar.unlink()
    with pytest.raises(VideoReadError, match=r'a/v0.mp4::.*clips-000000.tar: .*no such shard'):
        read_frames(first)
    with pytest.raises(ShardsError, match=r'clips-000000.tar is missing'):
        ClipShards(str(shards))
    with pytest.raises(VideoReadError, match=r'gone.mp4::.*no such member'):
        read_frames(opened.address('gone.mp4'))
    fsspec.filesystem('memory').rm(f'{remote}/clips-000002.tar')
    with pytest.raises(ShardsError, match=r'clips-000002.tar is missing'):
        ClipShards(remote)


def test_what_cannot_be_opened_is_said(shards, tmp_path):
    for root, words in (
        ('memory://nowhere', "no 'shards.arrow' in 'memory://nowhere'. Make shards: python tools"),
        ('nonsense://bucket', "cannot open 'nonsense://bucket'"),
    ):
        with pytest.raises(ShardsError, match=words):
            ClipShards(root)
    (shards / INDEX).write_bytes((shards / INDEX).read_bytes()[:-300])
    with pytest.raises(ShardsError, match='is damaged'):
        ClipShards(str(shards))


@pytest.mark.parametrize('where', ['here', 'there'])
def test_members_that_are_missing(files, shards, remote, tmp_path, where):
    root = str(shards) if where == 'here' else remote
    rows = [{'video': name, 'text': name} for name in ('v1.mp4', 'a/v1.mp4', 'b/v1.mp4', 'c/v1.mp4')]
    write_records(rows, tmp_path / 'some.jsonl')
    with pytest.raises(MissingVideosError, match=r'2 of 4 videos .*tar://v1.mp4::'):
        VideoTextDataset(tmp_path / 'some.jsonl', root, PIPELINE)
    data = VideoTextDataset(tmp_path / 'some.jsonl', root, PIPELINE, missing='skip')
    assert [record['video'] for record in data.records] == ['a/v1.mp4', 'b/v1.mp4']
    assert copy.deepcopy(data).root is data.root  # as spawned workers get it: by its root
