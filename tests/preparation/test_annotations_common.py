import gzip
import os
import pickle

import pytest
from annotation_files import put, refuses

from stgt_mm.datasets.records import AnnotationError, MissingVideosError, read_records
from stgt_mm.preparation.annotations.captions import caption_records
from stgt_mm.preparation.annotations.conversion import choose_splits, write_splits
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.plain_pickle import read_plain_pickle
from stgt_mm.preparation.annotations.reading import read_json, read_lines, read_list, read_table, value_of
from stgt_mm.preparation.annotations.video_files import VideoFiles, stem_of


def test_notes_count_and_show_the_first_places():
    notes = Notes()
    for number in range(1200):
        notes.add('odd things', f'line {number}')
    notes.add('other things', 'here')
    assert notes.lines() == ['1,200 odd things: line 0, line 1, line 2, ...', '1 other things: here']


def test_lines_of_any_encoding(tmp_path):
    path = put(tmp_path / 'a.txt', b'\xef\xbb\xbfone\r\ncaf\xc3\xa9\ncaf\xe9 \x93so\x94\n\x81x')
    notes = Notes()
    assert [line for _, line in read_lines(path, notes)] == ['one', 'café', 'café “so”', '�x']
    assert notes.lines() == [f'2 texts that are not UTF-8, read as Windows-1252: {path}:3, {path}:4']
    with pytest.raises(AnnotationError, match=r'a\.txt:3: byte 3 .*iconv -f cp1252'):
        list(read_lines(path))


@pytest.mark.parametrize(
    'content', [gzip.compress(b'a', mtime=0), 'caf\xe9'.encode('utf-16'), b'PK\x03\x04ab']
)
def test_packed_lines_and_utf16_are_no_windows_1252(tmp_path, content):
    path = put(tmp_path / 'a.txt', content)
    refuses([path, 'Unpack or convert it: '], lambda: list(read_lines(path, Notes())))


def test_list(tmp_path):
    path = put(tmp_path / 'ids.csv', 'video_id\nb\n\n a \n')
    assert read_list(path, header='video_id') == {'b': (2, 'b'), 'a': (4, 'a')}
    assert list(read_list(path)) == ['video_id', 'b', 'a']
    refuses("twice:3: 'a' is already on line 1", read_list, put(tmp_path / 'twice', 'a\nb\na'))
    refuses('holds no name', read_list, put(tmp_path / 'none', '\n\n'))
    with pytest.raises(FileNotFoundError, match=r'no file .*gone.*working directory.*docs/datasets\.md'):
        read_list(tmp_path / 'gone')


def test_table_reads_columns_by_name(tmp_path):
    path = put(tmp_path / 't.csv', 'b,a,c\n1,"two, ""so""\nmore",3\n\n4,5,6\n')
    rows = list(read_table(path, ('a', 'b')))
    assert rows == [(3, {'a': 'two, "so"\nmore', 'b': '1'}), (5, {'a': '5', 'b': '4'})]


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('x,y\n1,2\n', [':1:', "no column 'a'", "['x', 'y']", 'Needed: a, b']),
        ('', [':1:', "no column 'a'"]),
        ('a,b\n1,2\n1\n', [':3:', '1 values under 2 columns']),
        ('a,b\n1,2,3\n', [':2:', '3 values under 2 columns', 'quotes']),
        ('a,b\n', ['a header and nothing else']),
        ('a,b\n1,"' + 'x' * 200_000 + '"\n', [':2:', 'not a table', 'quote that is not closed']),
    ],
)
def test_bad_table_is_named_with_its_remedy(tmp_path, content, words):
    path = put(tmp_path / 't.csv', content)
    refuses([path, *words], lambda: list(read_table(path, ('a', 'b'))))


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('{"a": 1,\n"b": [', [':2:', 'not JSON', 'cut off']),
        (b'{"a":\n"\xe9"}', [':2:', 'not UTF-8']),
        ('{"a": ' * 9_999, ['recursion']),
        ('{"a": ' + '9' * 5_000 + '}', ['digits']),
        (gzip.compress(b'{}', mtime=0), ["packed with gzip. Unpack or convert it: gunzip -c '"]),
        ('{}'.encode('utf-16'), ['UTF-16', "iconv -f utf-16 -t utf-8 '"]),
        ('[]', ['holds a list, an object was expected']),
    ],
)
def test_bad_json_is_named_with_its_remedy(tmp_path, content, words):
    path = put(tmp_path / 'a.json', content)
    refuses([path, *words], read_json, path, dict)


def test_value_of_an_object():
    assert value_of({'a': 'x'}, 'a', 'here') == 'x'
    assert value_of({'a': [1]}, 'a', 'here', list, str) == [1]
    refuses("here: no 'b'; there is: a", value_of, {'a': 'x'}, 'b', 'here')
    refuses("here: no 'b'; there is: 'text'", value_of, 'text', 'b', 'here')
    refuses("'a' is '3', a text was expected", value_of, {'a': 3}, 'a', 'here')


class Runs:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickle_is_read(tmp_path, protocol):
    content = {'a': [['x', 'é'], ('y', 1, 2.5, None, True)], 'b': {1, 2}, 'c': frozenset({3})}
    path = put(tmp_path / 'a.pkl', pickle.dumps(content, protocol=protocol))
    assert read_plain_pickle(path) == content


def test_texts_of_python_2_come_as_bytes(tmp_path):
    path = put(tmp_path / 'a.pkl', b"(dp0\nS'clip'\np1\n(lp2\nS'caf\\xe9'\np3\nas.")
    assert read_plain_pickle(path) == {b'clip': [b'caf\xe9']}


@pytest.mark.parametrize(
    ('content', 'name'),
    [
        (lambda file: Runs(os.system, f'touch {file}'), r'(posix|nt)\.system'),
        (lambda file: Runs(eval, f'open("{file}", "w")'), r'(builtins|__builtin__)\.eval'),
        (lambda _: Runs(getattr, 'x', 'upper'), r'(builtins|__builtin__)\.getattr'),
        (lambda _: Runs(bytearray, 10**15), r'(builtins|__builtin__)\.bytearray'),
        (lambda _: Notes(), r'(stgt_mm\.preparation\.annotations\.notes\.Notes|copy_reg\._reconstructor)'),
    ],
)
@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_a_pickle_that_could_run_is_refused_by_name(tmp_path, content, name, protocol):
    witness = tmp_path / 'ran'
    path = put(tmp_path / 'bad.pkl', pickle.dumps({'clip': content(witness)}, protocol=protocol))
    with pytest.raises(AnnotationError, match=rf"bad\.pkl: refused .*asks for '{name}', which is not plain"):
        read_plain_pickle(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    'content', [b'', b'no pickle', pickle.dumps(['x'] * 9)[:-5], b'\x80\x04\x8e' + b'\xff' * 8]
)
def test_a_broken_pickle_is_an_annotation_error(tmp_path, content):
    refuses('bad.pkl: refused', read_plain_pickle, put(tmp_path / 'bad.pkl', content))


@pytest.mark.parametrize(
    ('name', 'stem'),
    [
        ('video1.mp4', 'video1'),
        ('a@N00_1_2.MOV.mp4', 'a@N00_1_2'),
        ('a@N00_1_2.', 'a@N00_1_2'),
        ('a@N00_1_2', 'a@N00_1_2'),
        ('a.m2ts', 'a'),
        ('3086_UGLY_TRUTH_00.23.23.000-00.23.28.886.avi', '3086_UGLY_TRUTH_00.23.23.000-00.23.28.886'),
        ('3086_UGLY_TRUTH_00.23.23.000-00.23.28.886', '3086_UGLY_TRUTH_00.23.23.000-00.23.28.886'),
        ('notes.txt', 'notes.txt'),
    ],
)
def test_stem_loses_only_extensions_of_videos(name, stem):
    assert stem_of(name) == stem


def test_without_a_folder_the_path_is_assumed():
    files = VideoFiles(None, 'avi')
    assert files.path_of('a') == 'a.avi'
    assert files.path_of('a', folder='film') == 'film/a.avi'
    files.report(notes := Notes())
    assert not notes.counts


def test_real_extensions_are_found_and_missing_videos_counted(tmp_path):
    several = ('two/c.mp4', 'two/c.avi', 'c.mov', 'f.avi', 'f.mp4', 'f.webm')
    for name in ('a.webm', 'deep/er/b.MKV', 'a_.mp4', 'd.txt', *several):
        put(tmp_path / name, b'')
    (tmp_path / 'deep' / 'loop').symlink_to(tmp_path)
    files = VideoFiles(tmp_path, '.avi')
    assert [files.path_of(stem) for stem in 'abcd'] == ['a.webm', 'deep/er/b.MKV', 'c.mov', 'd.avi']
    assert files.path_of('e', folder='film') == 'film/e.avi'
    assert files.path_of('f') == 'f.avi'  # of several, that with the assumed extension
    files.report(notes := Notes())
    assert notes.counts == {
        f"videos that are not below '{tmp_path}', kept as .avi": 2,
        'videos with several files': 2,
    }


def test_all_missing_is_an_error(tmp_path):
    put(tmp_path / 'other.mp4', b'')
    files = VideoFiles(tmp_path, '.mp4')
    files.path_of('a')
    with pytest.raises(MissingVideosError, match=r'none of 1 videos .*holds 1 files; .*: a\. Correct'):
        files.report(Notes())
    with pytest.raises(FileNotFoundError, match=r'no folder .*--video-root'):
        VideoFiles(tmp_path / 'gone', '.mp4')


NEEDS = {'train': (('train.csv',), ('all.json', 'train.json')), 'test': (('test.csv',),)}


def test_splits_are_those_that_the_files_allow(tmp_path):
    put(tmp_path / 'train.csv', '')
    put(tmp_path / 'train.json', '')
    notes = Notes()
    chosen = choose_splits(tmp_path, NEEDS, None, notes)
    assert chosen == {'train': [tmp_path / 'train.csv', tmp_path / 'train.json']}
    assert notes.lines() == ['1 of the splits not made, for want of a file: test (no test.csv)']
    put(tmp_path / 'all.json', '')
    assert choose_splits(tmp_path, NEEDS, ['train'], Notes())['train'][1] == tmp_path / 'all.json'


def test_a_split_that_is_asked_for_must_be_possible(tmp_path):
    put(tmp_path / 'train.csv', '')
    with pytest.raises(FileNotFoundError, match=r'train: no all\.json or train\.json in'):
        choose_splits(tmp_path, NEEDS, ['train'], Notes())
    with pytest.raises(FileNotFoundError, match=r'nothing to convert .*no test\.csv'):
        choose_splits(tmp_path, NEEDS, None, Notes())
    with pytest.raises(FileNotFoundError, match=r"gone' is not there"):
        choose_splits(tmp_path / 'gone', NEEDS, None, Notes())
    with pytest.raises(FileNotFoundError, match=r"train\.csv' is a file; name the folder"):
        choose_splits(tmp_path / 'train.csv', NEEDS, None, Notes())
    with pytest.raises(ValueError, match=r"no split 'dev'\. There are: train, test"):
        choose_splits(tmp_path, NEEDS, ['dev'], Notes())


def test_captions_without_a_word_are_left_out_and_ids_stay(tmp_path):
    notes = Notes()
    records = list(caption_records('v.mp4', 'v', [' a ', '', '...', 'b'], notes))
    assert [(record['text'], record['text_id']) for record in records] == [('a', 'v#0'), ('b', 'v#3')]
    assert notes.lines() == ['2 captions without a letter or digit, left out: v#1, v#2']


def test_repeated_captions_are_counted_a_video(tmp_path):
    rows = [{'video': v, 'video_id': v, 'text': t} for v, t in ['1a', '1b', '1a', '2a', '1a']]
    write_splits({'train': rows}, tmp_path, VideoFiles(None, '.mp4'), notes := Notes(), {})
    assert notes.counts == {'captions of train repeat one of the same video, kept': 2}


def test_nothing_is_written_when_a_split_is_empty_or_no_video_is_there(tmp_path):
    full = [{'video': 'v.mp4', 'video_id': 'v', 'text': 'a', 'text_id': 't'}]
    out = tmp_path / 'out'
    with pytest.raises(AnnotationError, match='test: no record is left'):
        write_splits({'train': full, 'test': []}, out, VideoFiles(None, '.mp4'), Notes(), {})
    files = VideoFiles(tmp_path, '.mp4')
    files.path_of('v')
    with pytest.raises(MissingVideosError):
        write_splits({'train': full}, out, files, Notes(), {})
    assert not out.exists()


def test_what_was_written_is_said(tmp_path):
    put(tmp_path / 'videos' / 'v.mp4', b'')
    files = VideoFiles(tmp_path / 'videos', '.mp4')
    records = [record for v in 'vw' for record in caption_records(files.path_of(v), v, ['a', 'b'], Notes())]
    lines = write_splits({'train': records}, tmp_path, files, Notes(), {'train': 3})
    written = tmp_path / 'train.jsonl'
    assert lines[0] == f'{written}: 4 texts of 2 videos (published: 3 videos), 1 of them missing'
    assert lines[1].startswith('note: 1 videos that are not below') and lines[1].endswith(': w')
    assert list(read_records(written)) == records
    lines = write_splits({'train': records}, tmp_path, VideoFiles(None, '.mp4'), Notes(), {})
    assert lines[1].startswith('note: paths end in .mp4; --video-root')


def test_a_file_that_no_data_set_could_read_is_refused(tmp_path):
    record = {'video': 'v.mp4', 'video_id': 'v', 'text': 'a', 'text_id': 't'}
    with pytest.raises(AnnotationError, match="text_id 't' stands for 'b'"):
        splits = {'a': [record, {**record, 'video_id': 'w', 'video': 'w.mp4', 'text': 'b'}]}
        write_splits(splits, tmp_path, VideoFiles(None, '.mp4'), Notes(), {})
