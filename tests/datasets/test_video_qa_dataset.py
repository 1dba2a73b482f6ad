"""Questions as items: samples, shared clips, the feature cache, broken clips, and lines that are wrong."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from stgt_mm.datasets import (
    AnnotationError,
    VideoQADataset,
    prepare_feature_cache,
    read_records,
    video_text_collate,
)
from stgt_mm.datasets.readers import VideoReadError

PIPELINE = [{'type': 'LoadImage'}, {'type': 'Resize', 'size': 8}, {'type': 'PackVideoText'}]
GOOD = {'video': 'v1.png', 'question': 'what runs?', 'answer': 'dog'}
LINES = [
    GOOD,
    {'video': 'v1.png', 'question': 'who?', 'answers': ['man', 'boy', 'boy'], 'question_id': 7},
    {
        'video': 'v0.png',
        'question': 'how?',
        'answer': 'fast',
        'answers': ['fast', 'quickly'],
        'question_type': 'way',
    },
]


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        pixels = np.full((9, 9, 3), 50 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f'v{number}.png')
    return tmp_path


def write(path, *lines):
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return path


def make(folder, *lines, **options):
    return VideoQADataset(write(folder / 'qa.jsonl', *lines), folder, PIPELINE, **options)


def test_a_sample_has_question_and_answers(folder):
    data = make(folder, *LINES)
    first, second, third = (data[index]['data_samples'] for index in range(3))
    assert (first.question, first.answer, first.question_id) == ('what runs?', 'dog', 'v1#0')
    assert 'answers' not in first and 'text' not in first and 'question_type' not in first
    assert (second.answer, second.answers, second.question_id) == ('boy', ['man', 'boy', 'boy'], '7')
    assert (third.answer, third.answers, third.question_type) == ('fast', ['fast', 'quickly'], 'way')
    batch = video_text_collate([data[index] for index in range(3)])
    assert batch['inputs'].shape == (3, 1, 3, 8, 8) and len(batch['data_samples']) == 3


def test_questions_of_a_clip_share_it_in_the_feature_cache(folder):
    class Backbone(nn.Module):
        def forward(self, video):
            self.calls = getattr(self, 'calls', 0) + len(video)
            return video.flatten(3).mean(-1)[:, :, None].repeat(1, 1, 5, 2)

    class Preprocess(nn.Module):
        def forward(self, batch, training=False):
            return {'inputs': {'video': batch['inputs'].float()}, 'data_samples': batch['data_samples']}

    data = make(folder, *LINES, feature_cache={'root': str(folder / 'cache'), 'dtype': 'float32'})
    frames = [data[index]['inputs'] for index in range(3)]
    backbone = Backbone()
    prepare_feature_cache(data, backbone, Preprocess())
    assert len(data.clips) == 2 and data.uses_cache
    assert backbone.calls == 3  # two clips, and one for the shape
    for index, clip in enumerate(frames):
        sample = data[index]
        assert torch.equal(sample['inputs'], Backbone()(clip[None].float())[0])
        assert sample['data_samples'].question == LINES[index]['question']


def test_training_replaces_a_broken_clip_and_evaluation_does_not(folder):
    (folder / 'v1.png').write_bytes(b'no picture')
    sample = make(folder, *LINES)[0]['data_samples']
    assert sample.question == 'how?' and 'v1.png' in sample.replaced[0][0]
    with pytest.raises(VideoReadError):
        make(folder, *LINES, max_retries=0)[0]
    batch = video_text_collate([make(folder, *LINES, collect_broken=True)[index] for index in range(3)])
    assert [sample.question for sample in batch['data_samples']] == ['how?']
    assert [sample.sample_idx for sample in batch['broken']] == [0, 1] and 'v1.png' in batch['broken'][
        0
    ].broken


def test_missing_clips(folder):
    (folder / 'v1.png').unlink()
    with pytest.raises(FileNotFoundError, match='1 of 2 videos'):
        make(folder, *LINES)
    assert len(make(folder, *LINES, missing='skip')) == 1
    assert make(folder, *LINES, collect_broken=True)[0]['inputs'] is None


@pytest.mark.parametrize(
    ('line', 'words'),
    [
        ({'video': 'v.png', 'answer': 'dog'}, ["no 'question'", 'Each line needs']),
        ({'video': 'v.png', 'question': 'what?'}, ["'what?' lacks an answer", 'none', 'remove the line']),
        ({**GOOD, 'answer': ' '}, ['lacks an answer', "{'answer': ' '}"]),
        ({**GOOD, 'answer': None}, ['lacks an answer', 'None']),
        ({**GOOD, 'answer': 3}, ['lacks an answer', "{'answer': 3}"]),
        ({**GOOD, 'answers': []}, None),
        ({'video': 'v.png', 'question': 'what?', 'answers': []}, ["{'answers': []}"]),
        ({**GOOD, 'answers': 'dog'}, ["'answers': 'dog'"]),
        ({**GOOD, 'answers': ['dog', '']}, ["['dog', '']"]),
        ({**GOOD, 'question': '?'}, ["'question' is empty"]),
        ({**GOOD, 'question': ['a', 'b']}, ["['a', 'b']", 'question a line']),
        (
            {**GOOD, 'question_id': 'v1#0'},
            ["question_id 'v1#0' ('what runs?') is already on line 1", 'id of its own'],
        ),
        (
            {'video': 'v.png', 'question': 'who?', 'answer': 'x', 'question_id': 'v1#0'},
            ["('who?')", "('what runs?')"],
        ),
        ({**GOOD, 'video': 'other/v.png', 'video_id': 'v1'}, ["'other/v.png'", "'v1.png'", 'line 1']),
    ],
)
def test_a_bad_line_is_named_with_its_remedy(tmp_path, line, words):
    path = write(tmp_path / 'bad.jsonl', GOOD, line)
    if words is None:
        assert len(read_records(path, ('video', 'question'))) == 2
        return
    with pytest.raises(AnnotationError) as error:
        read_records(path, ('video', 'question'))
    for word in [f'{path}:2:', *words]:
        assert word in str(error.value)


def test_the_same_question_may_be_asked_again(tmp_path):
    records = read_records(write(tmp_path / 'a.jsonl', GOOD, GOOD), ('video', 'question'))
    assert [record['question_id'] for record in records] == ['v1#0', 'v1#1']
    assert list(records.column('question_id')) == ['v1#0', 'v1#1'] and 'text_id' not in records[0]
