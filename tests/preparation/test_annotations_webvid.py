"""WebVid tables in the published form and in that of the mirrors, and what all downloaded sets share."""

import csv
import json

import pytest
from annotation_files import peak_memory, refuses
from command_line import run_here

from stgt_mm.datasets.records import MissingVideosError, read_records
from stgt_mm.preparation.annotations.conversion import ABSENT, FEWER, convert_list
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.webvid import webvid_records

PUBLISHED = ('videoid', 'contentUrl', 'duration', 'page_dir', 'name')
MIRROR = ('videoid', 'name', 'page_idx', 'page_dir', 'duration', 'contentUrl')
ROWS = [
    {'videoid': '21179416', 'page_dir': '006001_006050', 'name': 'Aerial shot winter forest'},
    {'videoid': '5629184', 'page_dir': '071501_071550', 'name': 'Senior couple, "looking" through it'},
    {'videoid': '1063125190', 'page_dir': '006001_006050', 'name': 'Дрон над лесом\nin two lines'},
]
REST = {'contentUrl': 'https://a/b.mp4', 'duration': 'PT00H00M11S', 'page_idx': '6034'}


def table(path, rows=ROWS, columns=PUBLISHED):
    with path.open('w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, columns, extrasaction='ignore')
        writer.writeheader()
        writer.writerows({**REST, **row} for row in rows)
    return path


def convert(path, *arguments, **options):
    return convert_list(lambda notes: webvid_records(path, notes), *arguments, **options)


def read(path, **options):
    notes = Notes()
    return list(webvid_records(path, notes, **options)), notes


@pytest.mark.parametrize('columns', [PUBLISHED, MIRROR])
def test_columns_are_found_by_name(tmp_path, columns):
    records, notes = read(table(tmp_path / 'w.csv', columns=columns))
    paths = [f'{row["page_dir"]}/{row["videoid"]}.mp4' for row in ROWS]
    assert records == [{'video': path, 'text': row['name']} for path, row in zip(paths, ROWS)]
    assert notes.counts == {}


def test_layouts(tmp_path):
    path = table(tmp_path / 'w.csv', columns=('videoid', 'name'))
    assert read(path, layout='flat')[0][0]['video'] == '21179416.mp4'
    assert read(path, layout='x/{videoid}.webm')[0][0]['video'] == 'x/21179416.webm'
    refuses("no column 'page_dir'", read, path)
    for layout, words in [
        ('{video_id}.mp4', "no field is called {video_id}. Did you mean 'videoid'"),
        ('page', "the same file for every line. Did you mean 'pages'"),
        ('{videoid', 'It is made of: pages, flat, {page_dir}, {videoid}'),
        ('{videoid:d}', 'It is made of'),
        ('{}', 'It is made of'),
    ]:
        refuses(words, lambda layout=layout: read(path, layout=layout), error=ValueError)


@pytest.mark.parametrize('name', ['', '../7'])
def test_wrong_names_are_refused(tmp_path, name):
    row = {'videoid': name, 'page_dir': 'a', 'name': 'b'}
    path = table(tmp_path / 'w.csv', [ROWS[0], ROWS[1], ROWS[0], row])
    refuses(f"w.csv:5: videoid is '{name}'", read, path)


def test_line_with_too_many_values_is_named(tmp_path):
    path = table(tmp_path / 'w.csv', ROWS[:2])
    with path.open('a') as file:
        file.write('1,u,d,p,one, two\n')
    refuses('w.csv:4: 6 values under 5 columns', read, path)


def test_captions_without_a_word_are_left_out_and_counted(tmp_path):
    blank = {'videoid': '1', 'page_dir': 'a', 'name': ' - '}
    records, notes = read(table(tmp_path / 'w.csv', [blank, *ROWS]))
    assert len(records) == 3
    assert notes.lines() == ["1 captions without a letter or digit, left out: w.csv:2 '-'"]


def test_only_what_was_downloaded_is_written(tmp_path):
    path, out = table(tmp_path / 'w.csv'), tmp_path / 'out' / 'train.jsonl'
    videos = tmp_path / 'videos'
    refuses('no folder', convert, path, out, videos, error=FileNotFoundError)
    videos.mkdir()
    with pytest.raises(MissingVideosError, match=r'no file of 3 lines .*006001_006050/21179416.*--layout'):
        convert(path, out, videos)
    assert not out.parent.exists() or not list(out.parent.iterdir())
    for row in ROWS[1:]:
        (videos / row['page_dir']).mkdir()
        (videos / row['page_dir'] / f'{row["videoid"]}.mp4').touch()
    lines = convert(path, out, videos)
    assert lines[0] == f'1 {ABSENT}: 006001_006050/21179416.mp4'
    assert [record['text'] for record in read_records(out)] == [row['name'] for row in ROWS[1:]]


def test_number_of_videos(tmp_path):
    path, out = table(tmp_path / 'w.csv'), tmp_path / 'train.jsonl'
    convert(path, out, max_videos=2)
    ids = [record['video_id'] for record in read_records(out)]
    assert ids == ['006001_006050/21179416', '071501_071550/5629184']
    lines = convert(path, out, max_videos=5)
    assert lines[0] == f'1 {FEWER}: 3 of 5 videos'
    refuses('--max-videos 0', convert, path, out, max_videos=0, error=ValueError)


def test_nothing_to_write_and_a_mistake_in_the_middle_leave_the_old_file(tmp_path):
    out = tmp_path / 'train.jsonl'
    out.write_text('old')
    refuses('nothing to write', convert_list, lambda notes: iter(()), out)
    path = table(tmp_path / 'w.csv', [*ROWS, {'videoid': '', 'page_dir': 'a', 'name': 'b'}])
    refuses('videoid', convert, path, out)
    assert out.read_text() == 'old' and not list(tmp_path.glob('.*partial*'))


def test_what_is_there_agrees_with_asking_for_each(tmp_path):
    (tmp_path / 'a' / 'folder.mp4').mkdir(parents=True)
    (tmp_path / 'a' / 'v1.mp4').touch()
    (tmp_path / 'top.mp4').touch()
    (tmp_path / 'a' / 'gone.mp4').symlink_to(tmp_path / 'nowhere')
    (tmp_path / 'a' / 'loop.mp4').symlink_to(tmp_path / 'a' / 'loop.mp4')
    inside = [f'a/{name}.mp4' for name in ('v1', 'v2', 'folder', 'gone', 'loop')]
    names = [*inside, 'b/v1.mp4', 'top.mp4', 'v1.mp4']
    records = [{'video': name, 'text': 'a'} for name in names]
    convert_list(lambda notes: iter(records), tmp_path / 'o.jsonl', tmp_path)
    kept = [json.loads(line)['video'] for line in (tmp_path / 'o.jsonl').read_text().splitlines()]
    assert kept == [name for name in names if (tmp_path / name).is_file()]


def test_memory_is_that_of_a_line(tmp_path):
    rows = [{'videoid': str(n), 'page_dir': 'a', 'name': f'{n} ' + 'word ' * 6_000} for n in range(300)]
    path, out = table(tmp_path / 'w.csv', rows), tmp_path / 'train.jsonl'
    del rows
    peak = peak_memory(lambda: convert(path, out))
    assert out.stat().st_size > 9_000_000
    assert peak < 3_000_000, f'{peak:,} bytes'


def test_the_command(tmp_path, capsys):
    path, out = table(tmp_path / 'w.csv'), tmp_path / 'train.jsonl'
    tool = 'dataset_converters/webvid.py'
    assert run_here(tool, path, out, '--max-videos', '2') == 0
    assert f'{out}: 2 lines' in capsys.readouterr().out
    texts = [json.loads(line)['text'] for line in out.read_text().splitlines()]
    assert texts == [row['name'] for row in ROWS[:2]]
    assert run_here(tool, tmp_path / 'no.csv', out) == 2
    assert 'no file' in capsys.readouterr().err
    assert run_here(tool, path, out, '--layout', 'falt') == 2
    assert "Did you mean 'flat'" in capsys.readouterr().err
