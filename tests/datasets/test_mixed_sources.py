import json
from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from stgt_mm.datasets import (
    EpochIndex,
    EpochSampler,
    MixedDataset,
    SourceBatchSampler,
    VideoTextDataset,
    set_data_progress,
    video_text_collate,
)
from stgt_mm.datasets.readers import VideoReadError, read_image, write_video

SIZES = {'films': 23, 'pictures': 10, 'clips': 6}


class Numbers:
    """Stands for a source: only its length is asked for."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size


def batches(epoch=0, rank=0, world=1, start=0, size=2, **options):
    mixed = MixedDataset({name: Numbers(size) for name, size in SIZES.items()})
    sampler = EpochSampler(mixed, seed=5, rank=rank, world_size=world)
    by_source = SourceBatchSampler(sampler, size, **options)
    sampler.set_progress(epoch, start, size)
    result = list(by_source)
    assert len(result) == len(by_source) - start
    assert all((index.epoch, index.seed) == (epoch, 5) for batch in result for index in batch)
    return result


def source_of(batch):
    (name,) = {'films' if index < 23 else 'pictures' if index < 33 else 'clips' for index in batch}
    return name


def test_batches_hold_one_source_in_proportion_to_size():
    first = batches()
    assert Counter(map(source_of, first)) == {'films': 11, 'pictures': 5, 'clips': 3}
    assert max(Counter(index for batch in first for index in batch).values()) == 1
    turns = [source_of(batch) for batch in first]
    assert turns != sorted(turns) and turns != [source_of(batch) for batch in batches(epoch=1)]
    assert first == batches() != batches(epoch=1)
    left_out = {frozenset(range(39)) - {i for batch in batches(epoch=e) for i in batch} for e in range(5)}
    assert len(left_out) > 1


def test_sources_may_have_batch_sizes_of_their_own():
    sizes = {name: set() for name in SIZES}
    for batch in batches(batch_sizes={'pictures': 5, 'clips': 3}):
        sizes[source_of(batch)].add(len(batch))
    assert sizes == {'films': {2}, 'pictures': {5}, 'clips': {3}}


@pytest.mark.parametrize('options', [{}, {'batch_sizes': {'pictures': 1}}])
def test_processes_take_turns_together(options):
    world = 3
    parts = [batches(epoch=2, rank=rank, world=world, **options) for rank in range(world)]
    wide = {name: size * world for name, size in options.get('batch_sizes', {}).items()}
    single = batches(epoch=2, size=2 * world, batch_sizes=wide)
    assert [sorted(chain(*step)) for step in zip(*parts, strict=True)] == [sorted(batch) for batch in single]
    assert len({tuple(map(source_of, part)) for part in parts}) == 1


@pytest.mark.parametrize('options', [{}, {'batch_sizes': {'pictures': 5}}])
@pytest.mark.parametrize('start', [0, 1, 7, 13])
def test_goes_on_in_the_middle_of_an_epoch(start, options):
    whole = [batches(epoch=1, rank=rank, world=2, size=1, **options) for rank in range(2)]
    rest = [batches(epoch=1, rank=rank, world=2, size=1, start=start, **options) for rank in range(2)]
    assert rest == [part[start:] for part in whole]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'size': 7}, "source 'clips' has 6 records.*batch_sizes.clips"),
        ({'size': 2, 'world': 4}, "source 'clips' has 6 records.* of 2 on 4 process"),
        ({'batch_sizes': {'picture': 1}}, "no source 'picture'.*'pictures'"),
        ({'batch_sizes': {'pictures': 0}}, 'at least 1'),
    ],
)
def test_options_that_cannot_work(options, words):
    with pytest.raises(ValueError, match=words):
        batches(**options)


def test_it_wants_sources_and_shuffling():
    for data, shuffle in [(Numbers(8), True), (MixedDataset({'a': Numbers(8)}), False)]:
        with pytest.raises(ValueError, match='MixedDataset'):
            SourceBatchSampler(EpochSampler(data, shuffle=shuffle, seed=0), 2)
    short = EpochSampler(MixedDataset({'a': Numbers(8)}), seed=0, samples_per_epoch=4)
    with pytest.raises(ValueError, match='samples_per_epoch=4'):
        SourceBatchSampler(short, 2)
    with pytest.raises(ValueError, match='sources is empty'):
        MixedDataset({})


# with files


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('files')
    for clip in range(3):
        write_video(folder / f'v{clip}.mp4', np.full((6, 32, 32, 3), 60 * clip + 40, np.uint8), 6)
    colours = np.zeros((20, 30, 3), np.uint8)
    colours[:, :15], colours[:10, :, 2] = (200, 30, 30), 90
    for name in ('p0.jpg', 'p1.png', 'p2.webp'):
        Image.fromarray(colours).save(folder / name, quality=95)
    (folder / 'cut.jpg').write_bytes((folder / 'p0.jpg').read_bytes()[:-40])
    (folder / 'text.jpg').write_text('<html>404</html>')
    (folder / 'none.png').write_bytes(b'')
    return folder


def annotate(folder, *files):
    path = folder / f'{files[0]}.jsonl'
    path.write_text('\n'.join(json.dumps({'video': file, 'text': f'This is {file}'}) for file in files))
    return path


def pipeline(load):
    return [
        load,
        {'type': 'RandomResizedCrop', 'size': 16},
        {'type': 'RandAugment'},
        {'type': 'PackVideoText'},
    ]


@pytest.fixture
def mixed(root, tmp_path):
    films = {
        'type': 'VideoTextDataset',
        'ann_file': annotate(tmp_path, 'v0.mp4', 'v1.mp4', 'v2.mp4'),
        'video_root': root,
        'pipeline': pipeline({'type': 'LoadVideo', 'num_frames': 4, 'sampling': 'headtail'}),
    }
    pictures = {
        **films,
        'ann_file': annotate(tmp_path, 'p0.jpg', 'cut.jpg', 'p1.png', 'p2.webp'),
        'pipeline': pipeline({'type': 'LoadImage'}),
        'max_retries': 30,
    }
    return MixedDataset({'films': films, 'pictures': pictures})


@pytest.mark.parametrize('name', ['p0.jpg', 'p1.png', 'p2.webp'])
def test_a_picture_is_a_clip_of_one_frame(root, name):
    frames = read_image(root / name)
    assert frames.shape == (1, 20, 30, 3) and frames.dtype == np.uint8
    assert np.abs(frames[0, 15, 5].astype(int) - (200, 30, 30)).max() < 30
    assert np.abs(frames[0, 3, 25].astype(int) - (0, 0, 90)).max() < 30


def test_pictures_as_they_are_shown(tmp_path):
    grey = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    turned = Image.Exif()
    turned[0x0112] = 6  # shown turned clockwise by 90 degrees
    grey.save(tmp_path / 'a.png', exif=turned)
    expected = np.rot90(np.arange(12, dtype=np.uint8).reshape(3, 4), -1)
    assert np.array_equal(read_image(tmp_path / 'a.png')[0], np.stack([expected] * 3, -1))
    half = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8)
    Image.fromarray(half).save(tmp_path / 'b.png')
    assert read_image(tmp_path / 'b.png').tolist() == [[[[10, 20, 30], [255, 255, 255]]]]
    moving = [Image.new('RGB', (2, 2), colour) for colour in ('red', 'blue')]
    moving[0].save(tmp_path / 'c.gif', save_all=True, append_images=moving[1:])
    assert read_image(tmp_path / 'c.gif').tolist() == [[[[255, 0, 0]] * 2] * 2]


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('cut.jpg', '(?i)truncated'),
        ('text.jpg', 'picture'),
        ('none.png', 'picture'),
        ('no.png', 'no such file'),
        ('v0.mp4', 'picture'),
    ],
)
def test_a_broken_picture_is_an_error_with_its_path(root, name, words):
    with pytest.raises(VideoReadError, match=words) as error:
        read_image(root / name)
    assert str(root / name) in str(error.value)


def test_samples_say_where_they_are_from(mixed, root):
    film, picture = mixed[1], mixed[3]
    assert film['inputs'].shape == (4, 3, 16, 16) and picture['inputs'].shape == (1, 3, 16, 16)
    meta = picture['data_samples']
    assert (meta.source, meta.sample_idx, meta.video_id) == ('pictures', 3, 'p0')
    assert (meta.num_frames, meta.frame_indices) == (1, (0,))
    assert (film['data_samples'].source, film['data_samples'].video_id) == ('films', 'v1')
    assert len(mixed) == 7 and mixed.place_of(6) == ('pictures', 3)
    for index in (-1, 7):
        with pytest.raises(IndexError, match='of 7 in films, pictures'):
            mixed[index]
    again = mixed.sources['films'][EpochIndex(1, 4, 9)]['inputs']
    assert torch.equal(mixed[EpochIndex(1, 4, 9)]['inputs'], again)
    assert not torch.equal(again, mixed[EpochIndex(1, 5, 9)]['inputs'])


def test_a_broken_picture_gives_way_to_one_of_its_source(mixed, root):
    for epoch in range(8):
        meta = mixed[EpochIndex(4, epoch, 0)]['data_samples']
        assert meta.source == 'pictures' and meta.video_id in ('p0', 'p1', 'p2')
        assert {path for path, _ in meta.replaced} == {str(root / 'cut.jpg')}


@pytest.mark.parametrize('workers', [0, 1])
def test_loader_alternates_and_resumes(mixed, workers):
    def loader():
        sampler = EpochSampler(mixed, seed=1, rank=0, world_size=1)
        by_source = SourceBatchSampler(sampler, 1, batch_sizes={'pictures': 2})
        return DataLoader(mixed, batch_sampler=by_source, num_workers=workers, collate_fn=video_text_collate)

    whole = list(loader())
    assert sorted(tuple(batch['inputs'].shape[:2]) for batch in whole) == [(1, 4)] * 3 + [(2, 1)] * 2
    resumed = loader()
    set_data_progress(resumed, 0, 2)
    rest = list(resumed)
    assert all(torch.equal(a['inputs'], b['inputs']) for a, b in zip(rest, whole[2:], strict=True))


def test_sources_in_one_batch_are_an_error_with_the_cure(mixed):
    with pytest.raises(ValueError, match='SourceBatchSampler'):
        video_text_collate([mixed[0], mixed[3]])


def test_hash_depends_on_every_source(mixed, root, tmp_path):
    film, picture = mixed.datasets
    other = VideoTextDataset(annotate(tmp_path, 'p1.png'), root, pipeline({'type': 'LoadImage'}))
    ways = [{'a': film, 'b': picture}, {'a': film, 'b': other}, {'a': picture, 'b': film}, {'a': film}]
    hashes = {MixedDataset(sources).content_hash for sources in ways}
    assert len(hashes) == 4 and mixed.content_hash == MixedDataset(mixed.sources).content_hash
