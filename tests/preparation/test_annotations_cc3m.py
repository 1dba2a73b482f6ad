"""CC3M lists in the published form; the real validation list where it is there."""

import json
import zlib

import pytest
from annotation_files import SHARED, needs_real, refuses
from command_line import run_here

from stgt_mm.datasets.records import AnnotationError, read_records
from stgt_mm.preparation.annotations.cc3m import cc3m_records
from stgt_mm.preparation.annotations.notes import Notes

REAL = SHARED / 'cc3m/Validation_GCC-1.1.0-Validation.tsv'
ROWS = [
    ('a very typical bus station', 'http://lh6.ggpht.com/a.jpg'),
    ('sierra looked stunning " in this top', 'http://i.dailymail.co.uk/b.jpg'),
    ('café at night', 'http://c.net/c.png?x=1'),
]


def read(path, rows=ROWS, **options):
    path.write_text(''.join('\t'.join(row) + '\n' for row in rows), encoding='utf-8')
    notes = Notes()
    return list(cc3m_records(path, notes, **options)), notes


def test_rows_become_images_of_img2dataset(tmp_path):
    records, _ = read(tmp_path / 'a.tsv')
    assert records == [{'video': f'00000/00000000{n}.jpg', 'text': text} for n, (text, _) in enumerate(ROWS)]
    with_header, _ = read(tmp_path / 'b.tsv', [('caption', 'url'), *ROWS])
    assert with_header == records


@pytest.mark.parametrize(
    ('shard_size', 'names'),
    [
        (10_000, ['00000/000000000.jpg', '00000/000000001.jpg', '00000/000000002.jpg']),
        (2, ['00000/000000.jpg', '00000/000001.jpg', '00001/000010.jpg']),
        (1000, ['00000/00000000.jpg', '00000/00000001.jpg', '00000/00000002.jpg']),
    ],
)
def test_names_are_those_of_img2dataset(tmp_path, shard_size, names):
    """The key is shard * 10**digits + index, digits = ceil(log10(shard size)), five more for the shard."""
    records, _ = read(tmp_path / 'a.tsv', shard_size=shard_size)
    assert [record['video'] for record in records] == names


def test_other_layouts(tmp_path):
    path = tmp_path / 'a.tsv'
    assert read(path, layout='row')[0][2]['video'] == '2.jpg'
    assert read(path, layout='{row:07d}.png')[0][2]['video'] == '0000002.png'
    crc = zlib.crc32(ROWS[1][1].encode())
    assert read(path, layout='lavis')[0][1]['video'] == f'1_{crc}.jpg'
    refuses('no field is called {line}', read, path, layout='{line}.jpg', error=ValueError)
    refuses('--shard-size 0', read, path, shard_size=0, error=ValueError)


def test_a_caption_without_a_word_does_not_shift_names(tmp_path):
    records, notes = read(tmp_path / 'a.tsv', [ROWS[0], ('...', 'http://x'), ROWS[2]])
    assert [record['video'] for record in records] == ['00000/000000000.jpg', '00000/000000002.jpg']
    assert list(notes.counts.values()) == [1]


@pytest.mark.parametrize('row', [('caption only',), ('caption', ''), ('a', 'b', 'c'), ('',)])
def test_a_line_that_is_not_two_values_is_named(tmp_path, row):
    with pytest.raises(AnnotationError, match=r"a.tsv:2: .* is not 'caption TAB address'"):
        read(tmp_path / 'a.tsv', [ROWS[0], row, ROWS[2]])


@needs_real('cc3m')
def test_the_real_validation_list(tmp_path, capsys):
    out = tmp_path / 'val.jsonl'
    assert run_here('dataset_converters/cc3m.py', REAL, out) == 0
    assert '15,833 lines' in capsys.readouterr().out
    records = read_records(out)
    lines = REAL.read_text(encoding='utf-8').splitlines()
    assert len(records) == len(lines) == 15_833
    for n in (0, 9_999, 10_000, 15_832):
        assert records[n]['text'] == lines[n].split('\t')[0].strip()
        assert records[n]['video'] == f'{n // 10_000:05d}/{n:09d}.jpg'


def test_only_images_that_are_there(tmp_path, capsys):
    path, out, images = tmp_path / 'a.tsv', tmp_path / 'o.jsonl', tmp_path / 'images'
    read(path)
    (images / '00000').mkdir(parents=True)
    (images / '00000/000000001.jpg').touch()
    assert run_here('dataset_converters/cc3m.py', path, out, '--image-root', images) == 0
    assert '2 lines whose file is not there' in capsys.readouterr().out
    assert json.loads(out.read_text()) == {'video': '00000/000000001.jpg', 'text': ROWS[1][0]}
