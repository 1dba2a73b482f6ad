"""Videos with all their captions as references."""

import json

import pytest
from PIL import Image

from stgt_mm.datasets import VideoCaptionDataset, video_text_collate
from stgt_mm.datasets.readers import VideoReadError

PIPELINE = [{'type': 'LoadImage'}, {'type': 'Resize', 'size': 8}, {'type': 'PackVideoText'}]
TEXTS = [('v1', 'a dog runs'), ('v0', 'a cat'), ('v1', 'a dog'), ('v1', 'a dog runs')]


def make(folder, **options):
    lines = [json.dumps({'video': f'{name}.png', 'text': text}) for name, text in TEXTS]
    (folder / 'captions.jsonl').write_text('\n'.join(lines) + '\n')
    return VideoCaptionDataset(folder / 'captions.jsonl', folder, PIPELINE, **options)


def test_a_video_is_one_sample_with_all_captions_in_order(tmp_path):
    for name in ('v0', 'v1'):
        Image.new('RGB', (9, 9)).save(tmp_path / f'{name}.png')
    data = make(tmp_path)
    samples = video_text_collate([data[0], data[1]])['data_samples']
    assert [sample.video_id for sample in samples] == ['v1', 'v0']
    assert samples[0].references == ['a dog runs', 'a dog', 'a dog runs'] == data.references[0]
    assert samples[1].references == ['a cat'] and 'text' not in samples[1]


def test_a_broken_video_is_never_replaced(tmp_path):
    Image.new('RGB', (9, 9)).save(tmp_path / 'v0.png')
    (tmp_path / 'v1.png').write_bytes(b'no picture')
    with pytest.raises(VideoReadError):
        make(tmp_path)[0]
    data = make(tmp_path, collect_broken=True)
    batch = video_text_collate([data[0], data[1]])
    assert [sample.video_id for sample in batch['broken']] == ['v1']
    assert batch['data_samples'][0].references == ['a cat']
