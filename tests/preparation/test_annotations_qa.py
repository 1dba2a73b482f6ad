"""MSRVTT-QA and MSVD-QA: the real files, LAVIS's form, the vocabulary of answers, wrong files."""

import json
from collections import Counter

import pytest
from annotation_files import SHARED, needs_real, put, read, refuses
from command_line import run_here

from stgt_mm.datasets import AnnotationError
from stgt_mm.datasets.records import read_records
from stgt_mm.functional.answers import question_type
from stgt_mm.preparation.annotations import msrvtt_qa, msvd, msvd_qa
from stgt_mm.preparation.annotations.notes import Notes

TRAIN = [
    {'answer': 'nut', 'id': 1, 'question': 'what is a squirrel chewing?', 'video_id': 1},
    {'answer': 'man', 'id': 2, 'question': 'who runs?', 'video_id': 2},
    {'answer': 'man', 'id': 3, 'question': 'who runs?', 'video_id': 2},
    {'answer': 'dog', 'id': 4, 'question': 'what runs?', 'video_id': 2},
]
TEST = [
    {'answer': 'man', 'id': 9, 'question': 'who?', 'video_id': 3},
    {'answer': 'tenni', 'id': 8, 'question': 'what?', 'video_id': 3},
]


@pytest.fixture
def folder(tmp_path):
    put(tmp_path / 'train_qa.json', TRAIN)
    put(tmp_path / 'test_qa.json', TEST)
    put(tmp_path / 'youtube_mapping.txt', '-4w_5_15 vid1\nb_1_2 vid2\nc d_3_4 vid3')
    return tmp_path


def types(records):
    return Counter(question_type(record['question']) for record in records)


@needs_real('msvd_qa')
class TestRealMSVD:
    @pytest.fixture(scope='class')
    def splits(self):
        return read(msvd_qa, SHARED / 'msvd_qa')[0]

    @pytest.mark.parametrize(('split', 'videos'), [('train', 1161), ('val', 245), ('test', 504)])
    def test_counts(self, splits, split, videos):
        records = splits[split]
        assert len(records) == msvd_qa.PUBLISHED[split] == len({record['question_id'] for record in records})
        assert len({record['video_id'] for record in records}) == videos

    def test_every_question_is_that_of_the_file(self, splits):
        raw = json.loads((SHARED / 'msvd_qa' / 'test_qa.json').read_bytes())
        assert [(r['question'], r['answer'], r['question_id']) for r in splits['test']] == [
            (entry['question'], entry['answer'], str(entry['id'])) for entry in raw
        ]
        assert types(splits['test']) == {'what': 8149, 'who': 4552, 'how': 370, 'when': 58, 'where': 28}

    @needs_real('msvd')
    def test_the_mapping_leads_to_the_clips_of_the_captions(self, splits):
        captions = msvd.read_captions(SHARED / 'msvd' / 'captions_msvd.json', Notes())
        lists = {split: (SHARED / 'msvd' / f'{split}_list.txt').read_text().split() for split in splits}
        clips = {split: {record['video_id'] for record in records} for split, records in splits.items()}
        assert clips['train'] <= set(lists['train']) and clips['test'] <= set(lists['test'])
        assert (len(clips['val'] & set(lists['val'])), len(clips['val'] & set(lists['test']))) == (98, 147)
        assert clips['val'] <= {*lists['val'], *lists['test']} and clips['val'].isdisjoint(clips['test'])
        first = splits['test'][0]
        assert 'weapon' in first['question'] and 'gun' in ' '.join(captions[first['video_id']])

    def test_the_vocabulary_covers_what_is_published(self, splits, tmp_path, capsys):
        out = tmp_path / 'out'
        assert run_here('dataset_converters/msvd_qa.py', SHARED / 'msvd_qa', out, '--answers', '1000') == 0
        assert (
            '1,000 answers, which are 96.6% of train, 89.6% of val, 91.1% of test' in capsys.readouterr().out
        )
        mine = (out / 'answers.txt').read_text().splitlines()
        published = (SHARED / 'msvd_qa' / 'answer_set.txt').read_text().split()
        answers = [record['answer'] for record in splits['test']]
        assert round(100 * sum(answer in set(published) for answer in answers) / len(answers), 1) == 90.8
        # the two differ in answers that are given twice in training only
        counts = Counter(record['answer'] for record in splits['train'])
        assert {counts[answer] for answer in set(mine) ^ set(published)} == {2}
        assert len(read_records(out / 'test.jsonl', ('video', 'question'))) == 13_157


@needs_real('msrvtt_qa')
def test_real_msrvtt():
    splits, notes, _ = read(msrvtt_qa, SHARED / 'msrvtt_qa')
    assert {split: len(records) for split, records in splits.items()} == {'val': 12_278, 'test': 72_821}
    assert all(len(splits[split]) == msrvtt_qa.PUBLISHED[split] for split in splits)
    assert msrvtt_qa.PUBLISHED['train'] == 158_581
    videos = {split: {record['video_id'] for record in records} for split, records in splits.items()}
    assert videos == {
        'val': {f'video{n}' for n in range(6513, 7010)},
        'test': {f'video{n}' for n in range(7010, 10_000)},
    }
    assert types(splits['test']) == {'what': 49_869, 'who': 20_385, 'how': 1_640, 'when': 677, 'where': 250}
    assert 'train (no train_qa.json or qa_train.json)' in notes.lines()[0]


def test_from_files_to_lines_and_vocabulary(folder, tmp_path, capsys):
    put(tmp_path / 'videos' / 'b_1_2.mp4', b'')
    out = tmp_path / 'out'
    options = ['--video-root', tmp_path / 'videos', '--answers', '2']
    assert run_here('dataset_converters/msvd_qa.py', folder, out, *options) == 0
    printed = capsys.readouterr().out
    assert f'{out / "train.jsonl"}: 4 questions of 2 videos (published: 30,933 questions), 1 of' in printed
    assert "1 questions of train repeat one of the same video, kept: b_1_2 'who runs?'" in printed
    assert f'{out / "answers.txt"}: 2 answers, which are 75.0% of train, 50.0% of test' in printed
    assert (out / 'answers.txt').read_text() == 'man\nnut\n'
    line = dict(video='b_1_2.mp4', video_id='b_1_2', question='who runs?', answer='man', question_id='2')
    assert json.loads((out / 'train.jsonl').read_text().splitlines()[1]) == line
    assert json.loads((out / 'test.jsonl').read_text().splitlines()[1])['video_id'] == 'c d_3_4'


def test_a_vocabulary_of_own_questions(tmp_path, capsys):
    lines = [{'video': 'a.mp4', 'question': f'{n}?', 'answer': word} for n, word in enumerate('cbab')]
    lines.append({'video': 'a.mp4', 'question': 'x?', 'answers': ['a', 'b']})
    own = put(tmp_path / 'own.jsonl', ''.join(json.dumps(line) + '\n' for line in lines))
    out, tool = tmp_path / 'answers.txt', 'dataset_converters/build_answers.py'
    assert run_here(tool, own, out, '--size', '2', '--covers', own) == 0
    assert f'{out}: 2 answers, which are 83.3% of {own}' in capsys.readouterr().out
    assert out.read_text() == 'b\na\n'
    assert run_here(tool, own, out) == 0 and out.read_text() == 'b\na\nc\n'
    put(own, '{"video": "a.mp4", "question": "who?"}\n')
    assert run_here(tool, own, out) == 2
    assert f"{own}:1: question 'who?' lacks an answer" in capsys.readouterr().err


def test_lists_of_lavis_say_the_same(folder, tmp_path):
    names = {1: '-4w_5_15', 2: 'b_1_2', 3: 'c d_3_4'}
    for split, entries in (('train', TRAIN), ('test', TEST)):
        lavis = [
            {'video': f'{names[e["video_id"]]}.avi', 'question': e['question'], 'answer': e['answer'],
             'question_id': e['id']}
            for e in entries
        ]  # fmt: skip
        put(tmp_path / 'lavis' / f'qa_{split}.json', lavis)
    assert read(msvd_qa, tmp_path / 'lavis')[0] == read(msvd_qa, folder)[0]
    listed = [{'video': 'a/video7.mp4', 'question': 'who?', 'answer': ['man', 'boy'], 'question_id': 'q'}]
    put(tmp_path / 'many' / 'qa_test.json', listed)
    record = read(msrvtt_qa, tmp_path / 'many')[0]['test'][0]
    assert record['answers'] == ['man', 'boy'] and record['video'] == 'video7.mp4'


@pytest.mark.parametrize(
    ('entry', 'words'),
    [
        ({'answer': ''}, ["'who runs?' has no answer ('')", 'Write one, or remove']),
        ({'answer': None}, ['has no answer (None)']),
        ({'answer': []}, ['has no answer ([])']),
        ({'question': ' '}, ["question ' ' has no word"]),
        ({'id': 1}, ["id '1' ('who runs?') is already that of entry 0", 'Remove one of the two']),
        ({'video_id': 77}, ['video_id 77 is not in', 'youtube_mapping.txt', '3 lines', "'<clip_id> vid77'"]),
        ({'video_id': 'video7'}, ["'video_id' is 'video7', a number was expected"]),
    ],
)
def test_a_wrong_entry_is_named(folder, entry, words):
    path = put(folder / 'train_qa.json', [TRAIN[0], TRAIN[1] | entry])
    refuses([f'{path}, entry 1: ', *words], read, msvd_qa, folder)


def test_a_lacking_key_and_a_lacking_mapping_are_named(folder):
    put(folder / 'test_qa.json', [{'question': 'who?', 'answer': 'man', 'id': 1}])
    refuses("entry 0: no 'video'; there is: question, answer, id", read, msvd_qa, folder, ['test'])
    (folder / 'youtube_mapping.txt').unlink()
    refuses('youtube_mapping.txt', read, msvd_qa, folder, ['train'], error=FileNotFoundError)
    assert issubclass(AnnotationError, ValueError)


@pytest.mark.parametrize('options', [('--answers', '0'), ('--answers', '9', '--splits', 'test')])
def test_a_vocabulary_needs_training_answers_and_a_size(folder, tmp_path, capsys, options):
    assert run_here('dataset_converters/msvd_qa.py', folder, tmp_path / 'out', *options) == 2
    assert f'--answers {options[1]}: at least 1, and with the split train' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
