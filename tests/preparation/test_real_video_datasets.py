"""Real files, sound and damaged, through the data sets of training and of evaluation."""

import json

import pytest
from annotation_files import DATA as SHARED
from annotation_files import needs_real_videos

from stgt_mm.datasets import RetrievalDataset, VideoTextDataset

PIPELINE = [
    {'type': 'LoadVideo', 'num_frames': 8},
    {'type': 'Resize', 'size': 32},
    {'type': 'PackVideoText'},
]
pytestmark = needs_real_videos


@pytest.fixture(scope='module')
def listed():
    """The unreadable files, the odd ones, and the six smallest that were filmed."""
    entries = json.loads((SHARED / 'videos.json').read_text())
    filmed = [entry for entry in entries if entry['role'] != 'robustness']
    filmed.sort(key=lambda entry: (SHARED / 'videos' / entry['file']).stat().st_size)
    return [entry for entry in entries if entry['role'] == 'robustness'] + filmed[:6]


@pytest.fixture
def annotation(listed, tmp_path):
    path = tmp_path / 'real.jsonl'
    rows = [
        {'video': entry['file'], 'video_id': entry['file'], 'text': entry['caption'] or 'unknown'}
        for entry in listed
    ]
    path.write_text('\n'.join(map(json.dumps, rows)))
    return path


def test_evaluation_hands_over_unreadable_files_with_their_reason(listed, annotation):
    data = RetrievalDataset(annotation, SHARED / 'videos', PIPELINE, collect_broken=True)
    for index, entry in enumerate(listed):
        sample = data[index]
        meta = sample['data_samples']
        if entry['frames_decoded']:
            assert sample['inputs'].shape == (8, 3, 32, 32)
            assert meta.num_frames == entry['frames_decoded'] > max(meta.frame_indices)
        else:
            assert sample['inputs'] is None and entry['file'] in meta.broken


def test_training_replaces_unreadable_files_and_says_which(listed, annotation):
    data = VideoTextDataset(annotation, SHARED / 'videos', PIPELINE, max_retries=20)
    for index, entry in enumerate(listed):
        sample = data[index]
        assert sample['inputs'].shape == (8, 3, 32, 32)
        replaced = sample['data_samples'].get('replaced', ())
        if entry['frames_decoded']:
            assert not replaced and sample['data_samples'].video_id == entry['file']
        else:
            assert entry['file'] in replaced[0][0] and replaced[0][1]
            assert sample['data_samples'].video_id != entry['file']
