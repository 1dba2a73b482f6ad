import json
import pickle

import pytest
from annotation_files import SHARED, needs_real, put, read
from command_line import run_here

from stgt_mm.datasets import RetrievalDataset
from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations import msvd
from stgt_mm.preparation.annotations.notes import Notes

CLIPS = {
    '-4w_5_15': [['a', 'squirrel', 'eats'], ['a', 'squirrel', 'eats']],
    'b_1_2': [['a', 'man']],
    'c_3_4': [['a', 'dog'], ['...'], []],
}


@pytest.fixture
def folder(tmp_path):
    put(tmp_path / 'raw-captions.pkl', pickle.dumps(CLIPS))
    put(tmp_path / 'train_list.txt', '-4w_5_15\n')
    put(tmp_path / 'val_list.txt', 'b_1_2\n')
    put(tmp_path / 'test_list.txt', 'c_3_4\n-4w_5_15')
    return tmp_path


@needs_real('msvd')
class TestRealFiles:
    @pytest.fixture(scope='class')
    def splits(self):
        return read(msvd, SHARED / 'msvd')[0]

    @pytest.mark.parametrize(
        ('split', 'clips', 'texts'), [('train', 1200, 48_774), ('val', 100, 4_290), ('test', 670, 27_763)]
    )
    def test_counts(self, splits, split, clips, texts):
        assert len(splits[split]) == texts == len({record['text_id'] for record in splits[split]})
        assert len({record['video_id'] for record in splits[split]}) == clips == msvd.PUBLISHED[split]

    def test_captions_are_those_of_the_file_in_the_order_of_the_list(self, splits):
        raw = json.loads((SHARED / 'msvd' / 'captions_msvd.json').read_bytes())
        clips = (SHARED / 'msvd' / 'test_list.txt').read_text().split()
        assert [(record['video'], record['text']) for record in splits['test']] == [
            (f'{clip}.avi', text) for clip in clips for text in raw[clip]
        ]

    def test_pickle_and_json_say_the_same(self):
        notes = Notes()
        read_both = [msvd.read_captions(SHARED / 'msvd' / name, notes) for name in msvd.CAPTIONS]
        assert read_both[0] == read_both[1] and len(read_both[0]) == 1970
        assert not notes.counts


def test_many_captions_a_clip(folder, tmp_path, capsys):
    for clip in CLIPS:
        put(tmp_path / 'videos' / f'{clip}.mp4', b'')
    out = tmp_path / 'out'
    assert run_here('dataset_converters/msvd.py', folder, out, '--video-root', tmp_path / 'videos') == 0
    printed = capsys.readouterr().out
    assert f'{out / "test.jsonl"}: 3 texts of 2 videos (published: 670 videos)\n' in printed
    assert '2 captions without a letter or digit, left out: c_3_4#1, c_3_4#2' in printed
    assert "1 captions of test repeat one of the same video, kept: -4w_5_15 'a squirrel eats'" in printed
    gallery = RetrievalDataset(out / 'test.jsonl', tmp_path / 'videos', [])
    assert gallery.texts == ['a dog', 'a squirrel eats', 'a squirrel eats']
    assert gallery.text_to_videos == [[0], [1], [1]]


def test_json_of_texts(folder):
    put(folder / 'captions_msvd.json', {clip: [' '.join(c) for c in cs] for clip, cs in CLIPS.items()})
    before = read(msvd, folder)[0]
    (folder / 'raw-captions.pkl').unlink()
    assert read(msvd, folder)[0] == before


def test_texts_of_python_2_that_are_not_utf8_are_counted(tmp_path):
    path = put(
        tmp_path / 'raw-captions.pkl', b"(dp0\nS'clip'\np1\n(lp2\n(lp3\nS'caf\\xe9'\np4\naS'so'\np5\naas."
    )
    notes = Notes()
    assert msvd.read_captions(path, notes) == {'clip': ['café so']}
    assert notes.lines() == [f'1 texts that are not UTF-8, read as Windows-1252: {path}, clip[0]']


def test_a_clip_without_captions_is_counted(folder):
    put(folder / 'test_list.txt', 'c_3_4\nnowhere_1_2\n')
    splits, notes, _ = read(msvd, folder, ['test'])
    assert {record['video_id'] for record in splits['test']} == {'c_3_4'}
    assert f'nowhere_1_2 ({folder / "test_list.txt"}:2)' in notes.lines()[-1]


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (['a'], 'holds list'),
        ({'a': 'text'}, "a: 'text' is not a list"),
        ({'a': [['x', 3]]}, r'a\[0\]: 3 is not a text'),
        ({4: []}, 'a clip id: 4 is not a text'),
    ],
)
def test_another_form_is_named(tmp_path, content, words):
    path = put(tmp_path / 'raw-captions.pkl', pickle.dumps(content))
    with pytest.raises(AnnotationError, match=rf'raw-captions\.pkl.*{words}'):
        msvd.read_captions(path, Notes())


def test_a_pickle_that_runs_something_stops_the_command(folder, tmp_path, capsys):
    put(folder / 'raw-captions.pkl', b"cos\nsystem\n(S'true'\ntR.")
    assert run_here('dataset_converters/msvd.py', folder, tmp_path / 'out') == 2
    assert "asks for 'os.system'" in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
