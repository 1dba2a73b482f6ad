import json
import os

import numpy as np
import pytest
import torch
from forked import in_processes

from stgt_mm.datasets import FeatureCache, FeatureCacheError

SHAPE = (2, 3, 4)


NO_INDICES = {
    'no sums': lambda index: json.dumps({'head': index['head'], 'broken': {}}),
    'keys that are no items': lambda index: json.dumps({**index, 'sums': {'one': 1}}),
    'items out of range': lambda index: json.dumps({**index, 'sums': {'3': 1}}),
    'a list': lambda index: '[]',
    'nesting': lambda index: '[' * 100_000,
}


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


@pytest.mark.parametrize('damage', ['truncated', 'no data', 'half an index', 'other index', *NO_INDICES])
def test_folder_that_does_not_fit_is_started_again(tmp_path, damage):
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
    elif damage == 'other index':
        index.write_text(json.dumps({**json.loads(index.read_text()), 'head': {'version': 0}}))
    else:
        index.write_text(NO_INDICES[damage](json.loads(index.read_text())))
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


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path):
    folder = FeatureCache(tmp_path, 'key', 4, SHAPE).folder
    folder.rename(tmp_path / 'precious')
    folder.symlink_to(tmp_path / 'precious')
    with pytest.raises(FeatureCacheError, match='symbolic link'):
        FeatureCache(tmp_path, 'key', 5, SHAPE)
    assert (tmp_path / 'precious' / 'features.npy').exists()


def build_many(root):
    for key in range(40):
        cache = FeatureCache(root, str(key), 4, SHAPE)
        for item in range(4):
            cache.write([item], items(4)[[item]])
            cache.flush()


def test_processes_that_build_the_same_cache_do_not_disturb_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'fsync', lambda number: None)  # most of the time, and no part of the race
    assert in_processes(3, build_many, tmp_path) == [0, 0, 0]
    for key in range(40):
        cache = FeatureCache(tmp_path, str(key), 4, SHAPE)
        assert cache.missing() == [] and not list(cache.folder.glob('.*partial*'))
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


def test_all_caches_of_a_root_are_bounded_together(tmp_path):
    size = 5 * int(np.prod(SHAPE)) * 2
    first = FeatureCache(tmp_path, 'one', 5, SHAPE, max_gib=2.5 * size / 2**30)
    FeatureCache(tmp_path, 'two', 5, SHAPE, max_gib=3 * size / 2**30)
    with pytest.raises(ValueError, match=f'rm -r {first.folder}'):
        FeatureCache(tmp_path, 'three', 5, SHAPE, max_gib=2.9 * size / 2**30)
    assert sum(1 for _ in tmp_path.glob('*/features.npy')) == 2
    # what is there already is used, whatever the limit
    assert FeatureCache(tmp_path, 'one', 5, SHAPE, max_gib=1.1 * size / 2**30).folder == first.folder


def test_types_have_folders_of_their_own(tmp_path):
    half = FeatureCache(tmp_path, 'key', 5, SHAPE)
    half.write(range(5), items(5))
    half.flush()
    single = FeatureCache(tmp_path, 'key', 5, SHAPE, dtype='float32')
    assert single.folder != half.folder and single.missing() == list(range(5))
    assert FeatureCache(tmp_path, 'key', 5, SHAPE).missing() == []


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match='max_gib'):
        FeatureCache(tmp_path, 'key', 10**6, (8, 257, 1408))
    with pytest.raises(ValueError, match='float32'):
        FeatureCache(tmp_path, 'key', 1, SHAPE).write([0], torch.full((1, *SHAPE), 1e6))
    with pytest.raises(ValueError, match='do not fit'):
        FeatureCache(tmp_path, 'key', 2, SHAPE).write([0, 1], items(1))
