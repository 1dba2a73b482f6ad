"""Clips with actions: windows of frames, crops, views of a clip, what cannot be asked for."""

import json

import numpy as np
import pytest
import torch

from stgt_mm.datasets import VideoActionDataset
from stgt_mm.datasets.frame_sampling import window_indices
from stgt_mm.datasets.readers import write_video
from stgt_mm.datasets.transforms import LoadVideo, SquareCrop

PIPELINE = [
    {'type': 'LoadVideo', 'num_frames': 3, 'sampling': 'window', 'stride': 2},
    {'type': 'SquareCrop', 'size': 16},
    {'type': 'PackVideoText'},
]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two clips of 25 frames, 16 x 48 px: each a third of its own brightness, and brighter frame by frame."""
    folder = tmp_path_factory.mktemp('actions')
    frames = np.zeros((25, 16, 48, 3), np.uint8)
    frames += (
        np.repeat([20, 60, 100], 16)[None, None, :, None] + 4 * np.arange(25)[:, None, None, None]
    ).astype('u1')
    for name in 'ab':
        write_video(folder / f'{name}.mp4', frames, crf=1, gop=1)
    lines = [{'video': 'a.mp4', 'action': 'run'}, {'video': 'b.mp4', 'action': 'jump'}]
    (folder / 'actions.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return folder


def make(folder, **options):
    given = dict(ann_file=folder / 'actions.jsonl', video_root=folder, pipeline=PIPELINE)
    return VideoActionDataset(**{**given, **options})


@pytest.mark.parametrize(
    ('total', 'count', 'stride', 'place', 'wanted'),
    [
        (10, 3, 2, 0.0, [0, 2, 4]),
        (10, 3, 2, 1.0, [5, 7, 9]),
        (11, 3, 2, 0.5, [3, 5, 7]),
        (5, 3, 2, 0.7, [0, 2, 4]),
        (4, 3, 2, 1.0, [0, 2, 3]),
        (1, 2, 9, 0.5, [0, 0]),
    ],
)
def test_windows(total, count, stride, place, wanted):
    assert window_indices(total, count, stride, place).tolist() == wanted


def test_one_view_is_the_middle_and_several_go_from_end_to_end(folder):
    (sample,) = [make(folder, collect_broken=True)[1]]
    assert sample['data_samples'].frame_indices == (10, 12, 14) and sample['inputs'].shape == (3, 3, 16, 16)
    assert abs(sample['inputs'][0].float().mean() - 100) < 3, 'the middle third of frame 10: 60 + 40'
    data = make(folder, collect_broken=True, views=(5, 3))
    assert len(data) == 30
    samples = [data[index] for index in range(30)]
    about = [sample['data_samples'] for sample in samples]
    assert [own.clip_idx for own in about] == [0] * 15 + [1] * 15
    assert [own.action for own in about] == ['run'] * 15 + ['jump'] * 15
    assert [own.sample_idx for own in about] == list(range(30))
    for number, sample in enumerate(samples):
        segment, crop = number % 15 // 3, number % 3
        first = (0, 5, 10, 15, 20)[segment]
        assert sample['data_samples'].frame_indices == (first, first + 2, first + 4)
        wanted = (20, 60, 100)[crop] + 4 * first
        assert abs(sample['inputs'][0].float().mean() - wanted) < 3


def test_training_draws_its_window(folder):
    load = {**PIPELINE[0], 'sampling': 'random_window'}
    data = make(folder, pipeline=[load, *PIPELINE[1:]])
    assert data[0]['data_samples'].action == 'run'
    loader = LoadVideo(**{key: value for key, value in load.items() if key != 'type'})
    starts = set()
    for seed in range(60):
        results = {'video': str(folder / 'a.mp4'), 'rng': np.random.default_rng(seed), 'record': {}}
        starts.add(loader.transform(results)['frame_indices'][0])
    assert min(starts) == 0 and max(starts) == 20 and len(starts) > 15, 'of the 21 that there are'


def test_squares_keep_shapes():
    frames = torch.arange(40 * 20, dtype=torch.float32).reshape(1, 1, 40, 20).repeat(1, 3, 1, 1).byte()
    for place, top in ((0.0, 0), (0.5, 10), (1.0, 20)):
        out = SquareCrop(20).transform({'frames': frames, 'crop': place})['frames']
        assert torch.equal(out, frames[..., top : top + 20, :])
    assert SquareCrop(10).transform({'frames': frames})['frames'].shape == (1, 3, 10, 10)


def test_what_cannot_be_asked_for_is_named(folder, tmp_path):
    uniform = [{'type': 'LoadVideo'}, *PIPELINE[1:]]
    squashed = [PIPELINE[0], {'type': 'Resize', 'size': 16}, PIPELINE[2]]
    for options, words in (
        (dict(views=(10, 1), pipeline=uniform, collect_broken=True), r"no LoadVideo\(sampling='window'"),
        (dict(views=(1, 3), pipeline=squashed, collect_broken=True), 'no SquareCrop'),
        (dict(views=(10, 3)), 'are for evaluation'),
        (dict(views=(10, 3), collect_broken=True, feature_cache={'root': tmp_path}), 'without feature_cache'),
        (dict(views=(0, 3)), 'each at least 1'),
    ):
        with pytest.raises(ValueError, match=words):
            make(folder, **options)
    for options in ({'sampling': 'window'}, {'stride': 2}, {'sampling': 'window', 'stride': 0}):
        with pytest.raises(ValueError, match='windows need one'):
            LoadVideo(**options)
