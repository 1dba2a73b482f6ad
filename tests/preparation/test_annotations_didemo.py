import json
from collections import defaultdict

import pytest
from annotation_files import SHARED, needs_real, put, read, refuses
from command_line import run_here

from stgt_mm.datasets.records import AnnotationError, read_records
from stgt_mm.preparation.annotations import didemo


def moment(video, description):
    """A moment with the keys of the real files."""
    rest = {'num_segments': 6, 'dl_link': '', 'times': [[1, 1]] * 4, 'annotation_id': 1}
    return {'video': video, 'description': description, **rest}


@pytest.fixture
def folder(tmp_path):
    moments = [
        moment('1@N0_2_ab.mov', 'first '),
        moment('1@N0_9_cd', 'another video'),
        moment('1@N0_2_ab.mov', 'then a second.'),
        moment('1@N0_9_cd', '.'),
        moment('1@N0_5_ef.3gp', 'in no list'),
    ]
    put(tmp_path / 'test_data.json', moments)
    put(tmp_path / 'ce_test_list.txt', '1@N0_9_cd.\n1@N0_2_ab.mp4\n1@N0_7_gh.avi\n')
    return tmp_path


@needs_real('didemo')
class TestRealFiles:
    @pytest.fixture(scope='class')
    def read_all(self):
        return read(didemo, SHARED / 'didemo')

    @pytest.mark.parametrize(('split', 'videos'), [('val', 1065), ('test', 1004)])
    def test_a_paragraph_a_video_in_file_order(self, read_all, split, videos):
        raw = json.loads((SHARED / 'didemo' / f'{split}_data.json').read_bytes())
        names = (SHARED / 'didemo' / f'ce_{split}_list.txt').read_text().split()
        sentences = defaultdict(list)
        for entry in raw:
            sentences[entry['video'].split('.')[0]].append(entry['description'].strip())
        records = read_all[0][split]
        assert [record['text'] for record in records] == [
            ' '.join(sentences[name.split('.')[0]]) for name in names
        ]
        assert len({record['video'] for record in records}) == videos == didemo.PUBLISHED[split]

    def test_moments_of_a_video_have_several_extensions_and_none_is_lost(self, read_all):
        assert read_all[1].lines() == [
            '1 of the splits not made, for want of a file: train (no train_data.json)'
        ]
        raw = json.loads((SHARED / 'didemo' / 'val_data.json').read_bytes())
        names = {moment['video'] for moment in raw}
        assert len(names) - len({name.split('.')[0] for name in names}) == 29

    def test_the_training_list_is_understood(self, tmp_path):
        names = (SHARED / 'didemo' / 'ce_train_list.txt').read_text()
        put(tmp_path / 'train_list.txt', names)
        put(
            tmp_path / 'train_data.json', [moment(name.split('.')[0] + '.mov', 'a') for name in names.split()]
        )
        assert len(read(didemo, tmp_path)[0]['train']) == 8392


def test_extensions_differ_and_what_has_no_description_is_counted(folder):
    splits, notes, _ = read(didemo, folder)
    assert [(r['video'], r['video_id'], r['text']) for r in splits['test']] == [
        ('1@N0_9_cd.mp4', '1@N0_9_cd', 'another video'),
        ('1@N0_2_ab.mp4', '1@N0_2_ab', 'first then a second.'),
    ]
    assert notes.lines()[1:] == [
        f'1 captions without a letter or digit, left out: {folder / "test_data.json"}, entry 3',
        f'1 videos of a list without a caption, left out: 1@N0_7_gh.avi ({folder / "ce_test_list.txt"}:3)',
        '1 videos of test_data.json that are not in ce_test_list.txt, left out: 1@N0_5_ef',
    ]


def test_the_command_finds_files_of_any_extension(folder, tmp_path, capsys):
    for name in ('1@N0_9_cd', 'part/1@N0_2_ab.mov.mp4'):
        put(tmp_path / 'videos' / name, b'')
    out = tmp_path / 'out'
    assert run_here('dataset_converters/didemo.py', folder, out, '--video-root', tmp_path / 'videos') == 0
    videos = [record['video'] for record in read_records(out / 'test.jsonl')]
    assert videos == ['1@N0_9_cd', 'part/1@N0_2_ab.mov.mp4']
    assert 'missing' not in capsys.readouterr().out


def test_one_video_under_two_extensions_in_a_list(folder):
    put(folder / 'ce_test_list.txt', '1@N0_2_ab.mp4\n1@N0_2_ab.mov\n')
    refuses("ce_test_list.txt:2: '1@N0_2_ab' is already on line 1", read, didemo, folder)


@pytest.mark.parametrize(
    ('content', 'words'),
    [({}, 'a list was expected'), ([{'video': 'a.mp4'}], r"entry 0: no 'description'; there is: video")],
)
def test_another_form_is_named(folder, content, words):
    put(folder / 'test_data.json', content)
    with pytest.raises(AnnotationError, match=words):
        read(didemo, folder)
