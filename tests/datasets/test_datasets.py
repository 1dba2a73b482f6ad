import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from stgt_mm.datasets import (
    CaptionChoiceDataset,
    EpochSampler,
    RetrievalDataset,
    VideoTextDataset,
    video_text_collate,
)
from stgt_mm.datasets.readers import VideoReadError, write_video
from stgt_mm.datasets.records import write_records
from stgt_mm.registry import DATASETS

TEST_PIPELINE = [
    {'type': 'LoadVideo', 'num_frames': 4},
    {'type': 'ReverseTime'},
    {'type': 'Resize', 'size': 16},
    {'type': 'PackVideoText'},
]
TRAIN_PIPELINE = [
    {'type': 'LoadVideo', 'num_frames': 4, 'sampling': 'headtail'},
    {'type': 'RandomResizedCrop', 'size': 16},
    {'type': 'RandAugment'},
    {'type': 'PackVideoText'},
]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clips')
    for clip in range(4):
        levels = np.linspace(40 * clip, 40 * clip + 100, 12).astype(np.uint8)
        write_video(
            folder / f'v{clip}.mp4', np.broadcast_to(levels[:, None, None, None], (12, 32, 48, 3)), 12
        )
    (folder / 'bad.mp4').write_text('no video')
    return folder


def annotate(folder, rows, name='ann.jsonl'):
    write_records(rows, folder / name)
    return folder / name


def pairs(*videos):
    return [{'video': f'{video}.mp4', 'text': f'Clip {video}.'} for video in videos]


def test_pair_has_shape_meta_and_text(root, tmp_path):
    data = VideoTextDataset(annotate(tmp_path, pairs('v0', 'v1')), root, TRAIN_PIPELINE)
    sample = data[1]
    meta = sample['data_samples']
    assert sample['inputs'].shape == (4, 3, 16, 16) and sample['inputs'].dtype == torch.uint8
    assert (meta.sample_idx, meta.video_id, meta.text, meta.text_id) == (1, 'v1', 'Clip v1.', 'v1#0')
    assert meta.num_frames == 12 and len(meta.frame_indices) == 4
    assert meta.video == str(root / 'v1.mp4')


def test_same_seed_epoch_index_same_sample_whatever_the_workers(root, tmp_path):
    data = VideoTextDataset(annotate(tmp_path, pairs('v0', 'v1', 'v2', 'v3')), root, TRAIN_PIPELINE)
    seen = []
    for workers in (0, 2):
        sampler = EpochSampler(data, seed=5)
        options = dict(num_workers=workers, persistent_workers=workers > 0, collate_fn=video_text_collate)
        loader = DataLoader(data, 2, sampler=sampler, **options)
        epochs = []
        for epoch in range(2):
            sampler.set_epoch(epoch)
            batches = list(loader)
            order = [sample.sample_idx for batch in batches for sample in batch['data_samples']]
            clips = torch.cat([batch['inputs'] for batch in batches])
            epochs.append(clips[torch.tensor(order).argsort()])
        seen.append(epochs)
    assert torch.equal(seen[0][0], seen[1][0]) and torch.equal(seen[0][1], seen[1][1])
    assert not torch.equal(seen[0][0], seen[0][1])


def test_training_replaces_unreadable_and_says_so(root, tmp_path):
    data = VideoTextDataset(annotate(tmp_path, pairs('bad', 'v1')), root, TRAIN_PIPELINE, max_retries=20)
    meta = data[0]['data_samples']
    assert meta.video_id == 'v1' and meta.text == 'Clip v1.' and meta.sample_idx == 0
    assert {path for path, _ in meta.replaced} == {str(root / 'bad.mp4')}
    assert 'replaced' not in data[1]['data_samples']


def test_training_gives_up_after_max_retries(root, tmp_path):
    data = VideoTextDataset(annotate(tmp_path, pairs('bad')), root, TRAIN_PIPELINE, max_retries=2)
    with pytest.raises(VideoReadError, match='3 unreadable files in a row'):
        data[0]


def test_retrieval_relation_many_to_many(root, tmp_path):
    rows = [
        {'video': 'v0.mp4', 'text': 'grey', 'text_id': 'g'},
        {'video': 'v1.mp4', 'text': 'grey', 'text_id': 'g'},
        {'video': 'v1.mp4', 'text': 'lighter', 'text_id': 'l'},
        {'video': 'v0.mp4', 'text': 'dark'},
    ]
    data = RetrievalDataset(annotate(tmp_path, rows), root, TEST_PIPELINE)
    assert [video['video_id'] for video in data.videos] == ['v0', 'v1']
    assert data.texts == ['grey', 'lighter', 'dark']
    assert data.text_ids == ['g', 'l', 'v0#1']
    assert data.text_to_videos == [[0, 1], [1], [0]]
    assert len(data) == 2 and 'text' not in data[0]['data_samples']
    assert data[1]['data_samples'].frame_indices == (0, 3, 6, 9)


def test_evaluation_never_substitutes(root, tmp_path):
    rows = pairs('v0', 'bad', 'gone')
    path = annotate(tmp_path, rows)
    with pytest.raises(FileNotFoundError, match='1 of 3'):
        RetrievalDataset(path, root, TEST_PIPELINE)
    with pytest.raises(VideoReadError, match='bad'):
        RetrievalDataset(annotate(tmp_path, rows[:2], 'two.jsonl'), root, TEST_PIPELINE)[1]
    data = RetrievalDataset(path, root, TEST_PIPELINE, collect_broken=True)
    batch = video_text_collate([data[index] for index in range(3)])
    assert batch['inputs'].shape == (1, 4, 3, 16, 16)
    assert [sample.sample_idx for sample in batch['data_samples']] == [0]
    assert [sample.video_id for sample in batch['broken']] == ['bad', 'gone']
    assert all(sample.broken for sample in batch['broken'])


def test_all_broken_batch_has_no_inputs(root, tmp_path):
    data = RetrievalDataset(annotate(tmp_path, pairs('bad')), root, TEST_PIPELINE, collect_broken=True)
    batch = video_text_collate([data[0]])
    assert batch['inputs'] is None and batch['data_samples'] == [] and len(batch['broken']) == 1


def test_choice_reverses_time(root, tmp_path):
    light = {'video': 'v2.mp4', 'text': 'gets light', 'distractor': 'gets dark', 'kind': 'order'}
    dark = {**light, 'text': 'gets dark', 'distractor': 'gets light', 'reverse': True}
    path = annotate(tmp_path, [light, dark, {**light, 'distractor': 'stays', 'kind': 'rest'}])
    files = {'ann_file': path, 'video_root': root}
    data = DATASETS.build({'type': 'CaptionChoiceDataset', **files, 'pipeline': TEST_PIPELINE})
    assert len(data) == 2 and data.texts == ['gets light', 'gets dark', 'stays']
    assert data.triples == [
        {'video': 0, 'true': 0, 'false': 1, 'kind': 'order'},
        {'video': 1, 'true': 1, 'false': 0, 'kind': 'order'},
        {'video': 0, 'true': 0, 'false': 2, 'kind': 'rest'},
    ]
    assert torch.equal(data[1]['inputs'], data[0]['inputs'].flip(0))
    assert data[1]['data_samples'].frame_indices == (9, 6, 3, 0)
    means = data[0]['inputs'].float().mean(dim=(1, 2, 3))
    assert (means.diff() > 10).all()


def test_choice_needs_reverse_time(root, tmp_path):
    row = {'video': 'v2.mp4', 'text': 'a', 'distractor': 'b', 'kind': 'order', 'reverse': True}
    with pytest.raises(ValueError, match='ReverseTime'):
        CaptionChoiceDataset(annotate(tmp_path, [row]), root, [TEST_PIPELINE[0], *TEST_PIPELINE[2:]])


def test_unequal_clips_are_an_error(root, tmp_path):
    small, large = (
        RetrievalDataset(
            annotate(tmp_path, pairs('v0')), root, [*TEST_PIPELINE[:2], resize, TEST_PIPELINE[3]]
        )[0]
        for resize in ({'type': 'Resize', 'size': 8}, {'type': 'Resize', 'size': (8, 12)})
    )
    with pytest.raises(ValueError, match='Resize'):
        video_text_collate([small, large])


def test_unknown_transform_key_names_it(root, tmp_path):
    with pytest.raises(ValueError, match=r'Resize.*sise'):
        VideoTextDataset(annotate(tmp_path, pairs('v0')), root, [{'type': 'Resize', 'sise': 3}])
