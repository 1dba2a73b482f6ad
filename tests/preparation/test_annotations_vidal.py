"""VIDAL-10M in the published form, and reading a JSON object entry by entry against ``json.load``."""

import json
from collections import Counter

import pytest
from annotation_files import peak_memory, refuses
from command_line import run_here

from stgt_mm.datasets.records import read_records
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.vidal import read_entries, vidal_records


def entry(n, **other):
    return {
        'folder': f'new_{n % 2}',
        'mplug': f'mplug {n}',
        'polish_mplug': f'polished\n {n}',
        'ofa': [f'ofa {n} {k // 2}' for k in range(8)],
        'sound_mplug': f'sound {n}',
        'raw': f'Räw #{n} #shorts \u2028 "quoted" {{',
        **other,
    }


ENTRIES = {f'-yt_{n}{{"': entry(n) for n in range(5)}


def save(path, entries=ENTRIES, **options):
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries, **options), encoding='utf-8')
    return path


def read(path, **options):
    notes = Notes()
    return list(vidal_records(path, notes, **options)), notes


@pytest.mark.parametrize('block', [1, 7, 64, 1 << 20])
@pytest.mark.parametrize('options', [{}, {'indent': 1}, {'ensure_ascii': False, 'separators': (',', ':')}])
def test_entries_are_those_of_json(tmp_path, block, options):
    path = save(tmp_path / 'v.json', **options)
    found = list(read_entries(path, block))
    assert {key: value for _, key, value in found} == ENTRIES
    lines = path.read_text().split('\n')
    for where, key, _ in found:
        number = int(where.removeprefix(f'{path}:').split(',')[0])
        assert json.dumps(key, ensure_ascii='ensure_ascii' not in options) in lines[number - 1]


def test_polish_mplug_unless_told_otherwise(tmp_path):
    path = save(tmp_path / 'v.json')
    records, notes = read(path)
    paths = [f'new_{n % 2}/{key}.mp4' for n, key in enumerate(ENTRIES)]
    assert records == [{'video': path, 'text': f'polished {n}'} for n, path in enumerate(paths)]
    assert not notes.counts
    sounds = [record['text'] for record in read(path, caption='sound_mplug')[0]]
    assert sounds == [f'sound {n}' for n in range(5)]
    assert read(path, layout='flat')[0][1]['video'] == '-yt_1{".mp4'


def test_ofa_gives_each_different_caption(tmp_path):
    records, _ = read(save(tmp_path / 'v.json'), caption='ofa')
    assert [record['text'] for record in records] == [f'ofa {n} {k}' for n in range(5) for k in range(4)]


def test_entries_without_the_caption_are_counted(tmp_path):
    entries = {**ENTRIES, 'a': entry(7, polish_mplug=None), 'b': entry(8, polish_mplug=''), 'c': entry(9)}
    del entries['c']['polish_mplug']
    records, notes = read(save(tmp_path / 'v.json', entries))
    assert len(records) == 5
    assert list(notes.counts.values()) == [3]
    assert '"a"' in notes.lines()[0]


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('[{"video": 1}]', 'v.json:1: holds a list, an object {youtube_id: {...}} was expected'),
        ('{}', 'holds no entry'),
        ('', "there is 'the end of the file'"),
        (json.dumps(ENTRIES)[:-400], 'Fetch the file again'),
        (json.dumps(ENTRIES)[:-1], 'after the entry "-yt_4'),
        ('"captions"', "an object {youtube_id: {...}} was expected: expected {, there is '\"'"),
        ('{\n"a": [1]}', 'v.json:2, "a": [1] stands where an object {"folder"'),
        ('{"a": null}', 'v.json:1, "a": null stands where an object'),
        ('{"a" {}}', 'after "a": expected :'),
        ('{\n"a": {"mplug": "x"}}', 'v.json:2, "a": no \'folder\''),
        ('{"a": {"folder": "f", "polish_mplug": 7}}', "'polish_mplug' is '7'"),
        ('{"a": {"folder": "f", "polish_mplug": [7]}}', "'polish_mplug' holds 7"),
        ('{"a": {"folder": "f"} "b": {}}', 'after the entry "a": expected , or }'),
    ],
)
def test_mistakes_name_file_line_and_remedy(tmp_path, content, words):
    path = save(tmp_path / 'v.json', content)
    message = refuses([words, path], read, path)
    if 'stands where' in words or 'holds a list' in words:
        assert 'cut off' not in message, 'the JSON is whole'


def test_not_utf8_and_unknown_caption(tmp_path):
    path = tmp_path / 'v.json'
    path.write_bytes(json.dumps(ENTRIES).encode() + b'\xff\xfe')
    refuses('not UTF-8', read, path)
    refuses("Did you mean 'mplug'", read, path, caption='mplg', error=ValueError)


def test_memory_is_that_of_a_block(tmp_path):
    path = save(tmp_path / 'v.json', {f'id{n}': entry(n, raw='word ' * 6_000) for n in range(300)})
    found = Counter()
    peak = peak_memory(lambda: found.update(type(entry) for _, _, entry in read_entries(path, 1 << 16)))
    assert found == {dict: 300}
    assert path.stat().st_size > 9_000_000
    assert peak < 3_000_000, f'{peak:,} bytes'


def test_the_command_makes_the_subset(tmp_path, capsys):
    path, out, videos = save(tmp_path / 'v.json'), tmp_path / 'train_4m.jsonl', tmp_path / 'videos'
    for n, key in list(enumerate(ENTRIES))[1:4]:
        (videos / f'new_{n % 2}').mkdir(parents=True, exist_ok=True)
        (videos / f'new_{n % 2}' / f'{key}.mp4').touch()
    options = ['--video-root', videos, '--max-videos', 2, '--caption', 'ofa']
    assert run_here('dataset_converters/vidal.py', path, out, *options) == 0
    records = read_records(out)
    assert [record['text'] for record in records] == [f'ofa {n} {k}' for n in (1, 2) for k in range(4)]
    assert len({record['text_id'] for record in records}) == 8
    assert '4 lines whose file is not there' in capsys.readouterr().out
