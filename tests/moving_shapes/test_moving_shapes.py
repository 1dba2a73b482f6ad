"""Meanings, splits and files of Moving Shapes."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from stgt_mm.datasets.readers import read_frames
from stgt_mm.datasets.records import read_records
from stgt_mm.moving_shapes import clip_frames, make_benchmark, render_clips, write_annotations
from stgt_mm.moving_shapes.contact_sheet import draw_contact_sheet
from stgt_mm.moving_shapes.grammar import caption, questions
from stgt_mm.moving_shapes.meaning import (
    FAMILIES,
    KINDS,
    ORDER_KINDS,
    Look,
    Meaning,
    change_fact,
    kinds_of,
    reverse,
)
from stgt_mm.moving_shapes.sets import apportion
from stgt_mm.moving_shapes.splits import draw_distinct, draw_meaning, split_of

JSONL = ('train', 'val', 'test', 'backwards', 'one_fact')


@pytest.fixture(scope='module')
def benchmark():
    return make_benchmark()


@pytest.fixture(scope='module')
def small():
    return make_benchmark(seed=3, train=40, val=10, test=30, one_fact=60)


@pytest.fixture(scope='module')
def folder(small, tmp_path_factory):
    root = tmp_path_factory.mktemp('moving_shapes')
    write_annotations(small, root)
    return root


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize('family', FAMILIES)
def test_reverse_differs_undoes_itself_and_stays_in_its_split(family):
    rng = np.random.default_rng(0)
    for split in ('train', 'val', 'test'):
        for _ in range(30):
            meaning = draw_meaning(rng, family, split)
            backwards = reverse(meaning)
            assert backwards != meaning
            assert reverse(backwards) == meaning
            assert split_of(backwards) == split


@pytest.mark.parametrize('family', FAMILIES)
def test_each_fact_that_can_change_changes_meaning_and_caption(family):
    rng = np.random.default_rng(1)
    for number in range(40):
        meaning = draw_meaning(rng, family, 'test')
        for kind in kinds_of(meaning):
            changed = change_fact(meaning, kind, rng)
            assert changed.key() != meaning.key()
            assert caption(changed, number) != caption(meaning, number)


def test_captions_tell_meanings_apart(benchmark):
    meanings = {}
    for clip in benchmark.clips:
        meanings.setdefault(clip.text, set()).add(clip.meaning.key())
    assert all(len(keys) == 1 for keys in meanings.values())


def test_paraphrases_have_one_meaning_and_many_wordings():
    meaning = Meaning('order_two', (Look('red', 'circle'), Look('blue', 'ring')), ('left', 'swell'))
    texts = {caption(meaning, style) for style in range(200)}
    assert len(texts) > 50
    texts = {caption(meaning, style) for style in range(5000)}
    assert 'after a red circle hops left and back, a blue ring swells up and shrinks back' in texts


def test_default_sizes_and_held_out_combinations(benchmark):
    train, val, test = (benchmark.of(split) for split in ('train', 'val', 'test'))
    assert (len(train), len(val), len(test)) == (8000, 240, 500)
    assert len(benchmark.one_fact) == 1000 and len(benchmark.backwards) == 500
    for held_out in (val, test, benchmark.of('extra')):
        assert not {clip.meaning.key() for clip in held_out} & {clip.meaning.key() for clip in train}
        assert not {clip.text for clip in held_out} & {clip.text for clip in train}
    for held_out in (val, test):
        assert len({clip.meaning.key() for clip in held_out}) == len(held_out)
        assert len({clip.text for clip in held_out}) == len(held_out)
    assert not {clip.meaning.key() for clip in val} & {clip.meaning.key() for clip in test}


def test_each_word_and_each_look_of_the_test_occurs_in_training(benchmark):
    def words(split):
        return {word for clip in benchmark.of(split) for word in clip.text.replace(',', ' ').split()}

    def looks(split):
        return {(look.colour, look.shape) for clip in benchmark.of(split) for look in clip.meaning.objects}

    assert words('test') <= words('train') and words('val') <= words('train')
    assert looks('train') >= looks('test')


def test_groups_hold_four_clips_each_with_its_reverse(benchmark):
    groups = {}
    for clip in benchmark.of('train'):
        groups.setdefault(clip.group, []).append(clip)
    assert len(groups) == 2000
    for clips in groups.values():
        keys = {clip.meaning.key() for clip in clips}
        assert len(keys) == 4
        assert all(reverse(clip.meaning).key() in keys for clip in clips)
        assert len({clip.style for clip in clips}) == 1
    single = [clip.meaning.num_objects == 1 for clip in benchmark.of('train')]
    assert 0.45 < np.mean(single) < 0.6


def test_events_are_as_likely_as_their_reverse(benchmark):
    """In training exactly; a text alone says nothing about which of two order facts is true."""
    keys = [clip.meaning.key() for clip in benchmark.of('train')]
    backwards = [reverse(clip.meaning).key() for clip in benchmark.of('train')]
    assert sorted(keys) == sorted(backwards)


def test_one_fact_triples(benchmark):
    counts = dict.fromkeys(KINDS, 0)
    for index, kind, changed in benchmark.one_fact:
        clip = benchmark.clips[index]
        assert clip.split in ('test', 'extra')
        assert kind in kinds_of(clip.meaning)
        assert changed.key() != clip.meaning.key()
        if kind in ORDER_KINDS:
            assert changed == reverse(clip.meaning)
        counts[kind] += 1
    assert min(counts.values()) >= 30 and min(counts[kind] for kind in ORDER_KINDS) >= 60


def test_one_seed_gives_one_set_of_bytes(small, folder, tmp_path):
    write_annotations(make_benchmark(seed=3, train=40, val=10, test=30, one_fact=60), tmp_path)
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert all((folder / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)
    assert make_benchmark(seed=4, train=40, val=10, test=30, one_fact=60).clips != small.clips


def test_annotations_have_the_public_forms(small, folder):
    data = json.loads((folder / 'moving_shapes_data.json').read_text())
    assert set(data) == {'info', 'videos', 'sentences'}
    splits = [video['split'] for video in data['videos']]
    assert [splits.count(name) for name in ('train', 'validate', 'test')] == [40, 10, 30]
    assert {sentence['video_id'] for sentence in data['sentences']} == {v['video_id'] for v in data['videos']}
    pairs = json.loads((folder / 'test_qa.json').read_text())
    assert all(set(pair) == {'answer', 'category_id', 'id', 'question', 'video_id'} for pair in pairs)
    assert {f'video{pair["video_id"]}' for pair in pairs} == {clip.video_id for clip in small.of('test')}


def test_questions_are_lines_of_the_same_pairs(folder):
    for split in ('test', 'val', 'train'):
        pairs = json.loads((folder / f'{split}_qa.json').read_text())
        records = read_records(folder / f'{split}_qa.jsonl', ('video', 'question'))
        assert [(r['question'], r['answer'], r['video'], r['question_id']) for r in records] == [
            (p['question'], p['answer'], f'video{p["video_id"]}.mp4', str(p['id'])) for p in pairs
        ]
        kinds = {record['question_type'] for record in records}
        assert kinds <= {'colour', 'shape', 'direction', 'order', 'size', 'count', 'front'} and len(kinds) > 3
    counts = Counter(line['answer'] for line in _lines(folder / 'train_qa.jsonl'))
    answers = (folder / 'answers.txt').read_text().split()
    assert set(answers) == set(counts) and counts[answers[0]] == max(counts.values())
    vocabulary = set((folder / 'qa_vocab.txt').read_text().split())
    words = {word for r in records for word in f'{r["question"][:-1]} {r["answer"]}'.replace(',', '').split()}
    assert words <= vocabulary and '[MASK]' in vocabulary


def test_jsonl_records(folder):
    for name in JSONL:
        for line in _lines(folder / f'{name}.jsonl'):
            assert {'video', 'video_id', 'text'} <= set(line)
    line = _lines(folder / 'train.jsonl')[0]
    assert {'text_id', 'group', 'objects', 'family', 'looks', 'event'} <= set(line)
    assert line['noun_phrases'] == [f'{colour} {shape}' for _, colour, shape in line['looks']]
    triples = _lines(folder / 'one_fact.jsonl')
    assert all(line['distractor'] != line['text'] and line['kind'] in KINDS for line in triples)


def test_backwards_swaps_the_captions(folder):
    lines = _lines(folder / 'backwards.jsonl')
    for forward, backward in zip(lines[::2], lines[1::2]):
        assert (forward['reverse'], backward['reverse']) == (False, True)
        assert forward['video'] == backward['video']
        assert (forward['text'], forward['distractor']) == (backward['distractor'], backward['text'])
        assert forward['text'] != forward['distractor']


def test_vocabulary_has_each_word_of_the_captions(small, folder):
    vocab = (folder / 'vocab.txt').read_text().splitlines()
    assert vocab[:5] == ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
    assert len(vocab) == len(set(vocab))
    words = {word for clip in small.of('train') for word in clip.text.replace(',', ' , ').split()}
    assert words <= set(vocab)


def test_rendered_files_do_not_depend_on_the_number_of_processes(small, tmp_path):
    clips = small.clips[:4]
    render_clips(clips, tmp_path / 'one', jobs=1)
    render_clips(clips, tmp_path / 'two', jobs=2)
    assert len(list((tmp_path / 'one').iterdir())) == 4
    for clip in clips:
        name = f'{clip.video_id}.mp4'
        assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes()
        frames = clip_frames(clip)
        read = np.asarray(read_frames(tmp_path / 'one' / name, num_frames=8), dtype=np.float32)
        assert read.shape == (8, 48, 48, 3)
        assert np.abs(read - frames[::2]).mean() < 4.0


def test_contact_sheet_shows_each_family(small, tmp_path):
    draw_contact_sheet(small, tmp_path / 'sheet.png', count=4)
    with Image.open(tmp_path / 'sheet.png') as sheet:
        assert sheet.size == (8 * 100 + 4, 4 * (96 + 22 + 4) + 4)


@pytest.mark.parametrize('family', FAMILIES)
def test_questions_have_one_word_answers_that_the_meaning_gives(family):
    rng = np.random.default_rng(2)
    for _ in range(20):
        meaning = draw_meaning(rng, family, 'test')
        asked = questions(meaning)
        assert len(asked) >= 2
        assert all(' ' not in answer and not question.endswith('?') for question, answer in asked)
        known = ' '.join((*meaning.event, *(f'{look.colour} {look.shape}' for look in meaning.objects)))
        assert all(answer in known.split() for _, answer in asked)


@pytest.mark.parametrize(('place', 'shape'), [('front', 'cross'), ('behind', 'ring')])
def test_the_shape_in_front_is_asked_for(place, shape):
    meaning = Meaning('pass', (Look('red', 'cross'), Look('blue', 'ring')), ('left', place))
    assert questions(meaning)[-1] == ('which shape is in front, the cross or the ring', shape)


def test_too_much_and_facts_that_are_not_there_are_refused():
    meaning = Meaning('grow', (Look('red', 'circle'),), ('grow',))
    with pytest.raises(ValueError, match='no fact of kind'):
        change_fact(meaning, 'front', np.random.default_rng(0))
    with pytest.raises(ValueError, match='multiple of 4'):
        make_benchmark(train=10)
    with pytest.raises(ValueError, match='ask for fewer'):
        draw_distinct(np.random.default_rng(0), {'grow': 500}, 'test')


def test_apportion_sums_up():
    assert apportion(7, {'a': 0.5, 'b': 0.3, 'c': 0.2}) == {'a': 4, 'b': 2, 'c': 1}
