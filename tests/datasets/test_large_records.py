"""Records in memory-mapped tables: what is kept, what is found, what many processes see."""

import copy
import json
import os
import pickle
import shutil
import tracemalloc
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pytest
from forked import in_processes
from PIL import Image
from torch.utils.data import DataLoader

from stgt_mm.datasets import VideoTextDataset, missing_videos
from stgt_mm.datasets import records as records_module
from stgt_mm.datasets.annotation_table import default_video_id
from stgt_mm.datasets.records import (
    AnnotationError,
    MissingVideosError,
    check_videos,
    read_records,
    write_records,
)


def by_dictionaries(rows):
    """What the compact way must find: completed records, or the line and the key of the first conflict."""
    files, texts, pairs, counts, records = {}, {}, {}, {}, []
    for number, row in enumerate(rows, start=1):
        record = {'video_id': default_video_id(row['video']), **row}
        video_id = record['video_id']
        if files.setdefault(video_id, record['video']) != record['video']:
            return number, 'video_id'
        count = counts.get(video_id, 0)
        counts[video_id] = count + 1
        text_id = record.setdefault('text_id', f'{video_id}#{count}')
        if pairs.setdefault((video_id, text_id), number) != number:
            return number, 'already on line'
        if texts.setdefault(text_id, record['text']) != record['text']:
            return number, 'text_id'
        records.append(record)
    return records


def draw(rng, conflicts):
    rows = []
    for _ in range(int(rng.integers(1, 40))):
        video = int(rng.integers(12))
        row = {'video': f'v{video}.mp4', 'text': f'text {rng.integers(6)}'}
        if rng.random() < 0.4:
            name = ['a', 'v1#0', f'v{video}#1', 'v3#2', 'x#01', f'{rng.integers(100)}'][rng.integers(6)]
            row['text_id'] = name
            if not conflicts or rng.random() < 0.7:
                row['text'] = f'text of {name}'
        if rng.random() < 0.2:
            row['video_id'] = f'v{video}' if not conflicts else f'v{rng.integers(12)}'
        rows.append(row)
    return rows


def test_equals_dictionaries_of_strings(tmp_path):
    rng = np.random.default_rng(64)
    outcomes = set()
    for trial in range(300):
        rows = draw(rng, conflicts=trial % 3 == 0)
        path = tmp_path / f'{trial}.jsonl'
        write_records(rows, path)
        expected = by_dictionaries(rows)
        if isinstance(expected, list):
            assert list(read_records(path)) == expected
            outcomes.add('fine')
        else:
            line, key = expected
            with pytest.raises(AnnotationError) as error:
                read_records(path)
            assert f'{path}:{line}: ' in str(error.value) and key in str(error.value)
            outcomes.add(key)
    assert outcomes == {'fine', 'video_id', 'text_id', 'already on line'}


@pytest.mark.parametrize(
    'video',
    ['a.mp4', 'a/b.c.mp4', 'a.d/b', 'b.', '.mp4', 'a/.mp4', './a.mp4', 'a//b.mp4', '/a.mp4', 'a/../b.x'],
)
def test_default_id_is_that_of_pathlib(video):
    assert default_video_id(video) == str(PurePosixPath(video).with_suffix(''))


@pytest.fixture
def records(tmp_path):
    path = tmp_path / 'a.jsonl'
    rows = [{'video': f'v{n // 2}.mp4', 'text': f'café {n}', 'n': n} for n in range(10)]
    lines = [json.dumps(row, ensure_ascii=False) + '\n' for row in rows]
    lines.insert(4, '\n  \n')
    path.write_text(''.join(lines), encoding='utf-8-sig')
    return read_records(path)


def test_records_are_a_sequence(records):
    assert len(records) == 10 and [record['n'] for record in records] == list(range(10))
    assert records[3] == {'video': 'v1.mp4', 'text': 'café 3', 'n': 3, 'video_id': 'v1', 'text_id': 'v1#1'}
    assert records[-1]['n'] == 9 and records[np.int64(4)]['n'] == 4
    assert [record['n'] for record in records[8:1:-3]] == [8, 5, 2]
    assert [record['text_id'] for record in records[1:].take([2, 0])] == ['v1#1', 'v0#1']
    for index in (10, -11):
        with pytest.raises(IndexError, match='has 10'):
            records[index]
    records[0]['n'] = 99
    assert records[0]['n'] == 0


def test_hash_counts_the_lines_that_are_used(records, tmp_path):
    rest = [json.dumps(json.loads(line), ensure_ascii=False) for line in lines_of(records.path)[2:]]
    shorter = tmp_path / 'shorter.jsonl'
    shorter.write_text('\n'.join(rest))
    assert records[2:].content_hash == read_records(shorter).content_hash != records.content_hash


def lines_of(path):
    return [line for line in path.read_text(encoding='utf-8-sig').splitlines() if line.strip()]


def test_copies_and_other_processes_read_the_same(records):
    for other in (pickle.loads(pickle.dumps(records)), copy.deepcopy(records)):  # noqa: S301
        assert list(other) == list(records) and list(other[3:]) == list(records[3:])
    loader = DataLoader(records, 2, num_workers=1, collate_fn=list)
    assert [record for batch in loader for record in batch] == list(records)


def test_a_file_that_changes_in_use_changes_nothing(records):
    copied = pickle.dumps(records)
    records.path.write_text(records.path.read_text().replace('"n": 0', '"n": 7'))
    assert read_records(records.path)[0]['n'] == 7
    assert records[0]['n'] == 0
    with pytest.raises(AnnotationError, match='was changed'):
        pickle.loads(copied)  # noqa: S301


def convert_and_count(path, out):
    seen = []
    convert = records_module.convert
    records_module.convert = lambda *args: (seen.append(args), convert(*args))
    records = read_records(path)
    (out / f'{os.getpid()}').write_text(f'{len(seen)} {len(records)}')


def test_processes_that_open_a_file_together_convert_it_once(tmp_path):
    path, out = tmp_path / 'a.jsonl', tmp_path / 'out'
    out.mkdir()
    write_records(({'video': f'{n}.mp4', 'text': 'a'} for n in range(3000)), path)
    assert in_processes(3, convert_and_count, path, out) == [0, 0, 0]
    assert sorted(file.read_text() for file in out.iterdir()) == ['0 3000', '0 3000', '1 3000']


@pytest.mark.parametrize('damage', [b'', b'ARROW1 and then nothing'])
def test_a_damaged_table_is_made_again(records, damage):
    (table,) = records.path.parent.glob('.arrow_cache/*.arrow')
    table.unlink()
    table.write_bytes(damage)
    assert list(read_records(records.path)) == list(records)


def test_a_folder_that_cannot_be_written(records, tmp_path, monkeypatch):
    shutil.rmtree(records.path.parent / '.arrow_cache')
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
    assert list(read_records(records.path)) == list(records)
    assert not (records.path.parent / '.arrow_cache').exists()
    monkeypatch.setattr(records_module, 'convert', None)
    assert len(read_records(records.path)) == 10


def test_memory_is_a_few_numbers_a_line(tmp_path):
    def held(lines):
        path = tmp_path / f'{lines}.jsonl'
        write_records(({'video': f'{n}.mp4', 'text': 'twelve words ' * 6} for n in range(lines)), path)
        tracemalloc.start()
        records = read_records(path)
        size = tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes()
        tracemalloc.stop()
        assert len(records) == lines
        return size

    held(6000)  # what is set up once, and tuples that Python keeps for later
    assert (held(12_000) - held(6000)) / 6000 < 16  # a dict of such a line takes 500 bytes and more


def test_training_does_not_look_for_equal_clips(tmp_path, monkeypatch):
    monkeypatch.setattr('stgt_mm.datasets.clip_dataset.unique_clips', None)
    Image.new('RGB', (8, 8), 'red').save(tmp_path / 'a.png')
    write_records([{'video': 'a.png', 'text': 'red'}] * 3, tmp_path / 'a.jsonl')
    data = VideoTextDataset(
        tmp_path / 'a.jsonl', tmp_path, [{'type': 'LoadImage'}, {'type': 'PackVideoText'}]
    )
    assert len(data) == 3 and data[2]['inputs'].shape == (1, 3, 8, 8)


def test_large_sets_are_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr(missing_videos, 'LARGE', 99)
    monkeypatch.setattr(missing_videos, 'SAMPLE', 10)
    rows = [{'video': f'{n}.mp4'} for n in range(100)]
    with pytest.raises(MissingVideosError, match='none of 10 videos, a sample of 100 records') as error:
        check_videos(rows, tmp_path)
    assert str(error.value).count('.mp4') == 3
    for row in rows[:-1]:
        (tmp_path / row['video']).touch()
    with pytest.raises(MissingVideosError, match=r"1 of 10 .*missing='skip'"):
        check_videos(rows, tmp_path)
    monkeypatch.setattr(missing_videos, '_absent', None)
    (tmp_path / '99.mp4').touch()
    (tmp_path / '50.mp4').unlink()
    assert check_videos(rows, tmp_path) == (rows, 0)  # 50 is not in the sample: an error when it is read
    monkeypatch.undo()
    assert check_videos(rows, tmp_path, 'skip') == (rows[:50] + rows[51:], 1)


def test_the_same_name_in_other_folders(tmp_path):
    for name in ('a/x.mp4', 'x.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rows = [
        {'video': name}
        for name in ('x.mp4', 'a/x.mp4', 'b/x.mp4', '/x.mp4', str(tmp_path / 'x.mp4'), 'b/x.mp4')
    ]
    kept, missing = check_videos(rows, tmp_path, 'skip')
    assert kept == [rows[0], rows[1], rows[4]] and missing == 2
