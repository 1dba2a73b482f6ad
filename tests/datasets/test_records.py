import gzip
import json
from pathlib import Path

import pytest
from PIL import Image

from stgt_mm.datasets import VideoTextDataset
from stgt_mm.datasets.records import (
    AnnotationError,
    MissingVideosError,
    check_videos,
    read_jsonl,
    read_records,
    write_records,
)

GOOD = {'video': 'a/v1.mp4', 'text': 'a caption'}


def write(path, *lines):
    path.write_bytes(
        b'\n'.join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    )
    return path


@pytest.mark.parametrize(
    ('line', 'words'),
    [
        (b'{"video": "v.mp4", ', ['not JSON', 'column']),
        (b'["v.mp4"]', ['not an object']),
        ({'video': 'v.mp4'}, ["no 'text'", 'Each line needs']),
        ({'video': 'v.mp4', 'text': '  '}, ["'text' is empty", 'remove the line']),
        ({'video': 'v.mp4', 'text': '!?'}, ["'text' is empty"]),
        ({'video': 'v.mp4', 'text': ['a', 'b']}, ["['a', 'b']", 'several lines']),
        (b'{"video": "v.mp4", "text": "caf\xe9"}', ['not UTF-8', 'iconv']),
        ({**GOOD, 'text_id': 'a/v1#0'}, ['already on line 1', 'text_id of its own']),
        ({**GOOD, 'video': 'b/v9.mp4', 'video_id': 'a/v1'}, ["'b/v9.mp4'", "'a/v1.mp4'", 'line 1']),
        (b'{"video": "v.mp4", "text": "a \\ud83d b"}', ['surrogate', 'whole character']),
        (b'[' * 10_000, ['nested too deeply']),
        (b'{"video": "v.mp4", "text": "a", "n": ' + b'1' * 5_000 + b'}', ['too many digits']),
        ({'video': 'v.mp4', 'text': 'other', 'text_id': 'a/v1#0'}, ["'other'", "'a caption'", 'line 1']),
    ],
)
def test_bad_line_is_named_with_its_cure(tmp_path, line, words):
    path = write(tmp_path / 'bad.jsonl', GOOD, line)
    with pytest.raises(AnnotationError) as error:
        read_records(path)
    for word in [f'{path}:2:', *words]:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ('pack', 'remedy'),
    [(gzip.compress, 'gunzip -c'), (lambda raw: raw.decode().encode('utf-16'), '-f utf-16')],
)
def test_a_packed_or_otherwise_encoded_file_is_recognised(tmp_path, pack, remedy):
    path = tmp_path / 'a.jsonl'
    path.write_bytes(pack(json.dumps(GOOD).encode()))
    with pytest.raises(AnnotationError, match=remedy) as error:
        read_records(path)
    assert f'{path}:1:' in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('video', ['../v.png', 'a/../../v.png', '/'])
def test_paths_out_of_the_root_are_refused_unless_allowed(tmp_path, video):
    root = tmp_path / 'root'
    (root / 'a').mkdir(parents=True)
    Image.new('RGB', (8, 8)).save(tmp_path / 'v.png')
    video = str(tmp_path / 'v.png') if video == '/' else video
    path = write(tmp_path / 'a.jsonl', {'video': video, 'text': 'a'})
    pipeline = [{'type': 'LoadImage'}, {'type': 'PackVideoText'}]
    with pytest.raises(AnnotationError, match='allow_outside=True'):
        VideoTextDataset(path, root, pipeline)
    assert VideoTextDataset(path, root, pipeline, allow_outside=True)[0]['inputs'].shape == (1, 3, 8, 8)


def test_missing_and_empty_annotation(tmp_path):
    with pytest.raises(FileNotFoundError, match='dataset_converters/custom'):
        read_records(tmp_path / 'none.jsonl')
    with pytest.raises(FileNotFoundError, match='make one: python make_it'):
        VideoTextDataset(tmp_path / 'none.jsonl', tmp_path, [], made_by='python make_it.py')
    with pytest.raises(AnnotationError, match='holds no record'):
        read_records(write(tmp_path / 'empty.jsonl', b''))


def test_check_videos(tmp_path):
    records = [{'video': f'v{n}.mp4'} for n in range(5)]
    with pytest.raises(MissingVideosError) as error:
        check_videos(records, tmp_path, 'skip')
    message = str(error.value)
    assert 'none of the 5 videos' in message and message.count('.mp4') == 3 and 'video_root' in message
    (tmp_path / 'v3.mp4').touch()
    with pytest.raises(MissingVideosError, match=r"4 of 5 .*missing='skip'"):
        check_videos(records, tmp_path)
    assert check_videos(records, tmp_path, 'skip') == ([{'video': 'v3.mp4'}], 4)
    assert check_videos(records, tmp_path, 'keep') == (records, 4)
    with pytest.raises(ValueError, match="missing='ignore'"):
        check_videos(records, tmp_path, 'ignore')


def test_files_are_found_by_one_listing_a_folder(tmp_path, monkeypatch):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'folder.mp4').mkdir()
    (tmp_path / 'a' / 'gone.mp4').symlink_to(tmp_path / 'nowhere.mp4')
    (tmp_path / 'a' / 'loop.mp4').symlink_to(tmp_path / 'a' / 'loop.mp4')
    names = [f'a/{n}.mp4' for n in range(40)]
    for name in [*names, 'top.mp4']:
        (tmp_path / name).touch()
    (tmp_path / 'a' / 'link.mp4').symlink_to(tmp_path / 'top.mp4')
    found = [{'video': name} for name in (*names, 'top.mp4', 'a/link.mp4', str(tmp_path / 'top.mp4'))]
    monkeypatch.setattr(Path, 'is_file', None)  # as slow as it gets on a network disk
    assert check_videos(found, tmp_path) == (found, 0)
    absent = [{'video': name} for name in ('a/folder.mp4', 'a/gone.mp4', 'a/loop.mp4', 'b/x.mp4')]
    assert check_videos(found + absent, tmp_path, 'skip') == (found, 4)


def test_lines_are_read_and_written_one_by_one(tmp_path):
    path = write(tmp_path / 'a.jsonl', GOOD, b'{broken')
    assert next(read_jsonl(path)) == (1, GOOD)

    def rows():
        yield GOOD
        assert not out.exists() and list(tmp_path.glob('.out.partial-*.jsonl'))
        yield GOOD

    out = tmp_path / 'out.jsonl'
    assert write_records(rows(), out) == 2 and list(read_jsonl(out)) == [(1, GOOD), (2, GOOD)]
