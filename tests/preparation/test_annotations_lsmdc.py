import pytest
from annotation_files import put, read
from command_line import run_here

from stgt_mm.datasets import RetrievalDataset
from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations import lsmdc

CLIP = '3086_UGLY_TRUTH_00.23.23.000-00.23.28.886'
OTHER = '1004_Juno_01.02.03.004-01.02.05.006'


def line(clip, sentence):
    """A line in the documented form: six values with a TAB between, no header."""
    times = ('00:23:23.000', '00:23:28.886', '00:23:23.000', '00:23:28.886')
    return '\t'.join((clip, *times, sentence)) + '\n'


@pytest.fixture
def folder(tmp_path):
    training = line(CLIP, 'SOMEONE "smiles"') + line(OTHER, 'She runs.') + line(CLIP, 'He turns round.')
    put(tmp_path / 'LSMDC16_annos_training.csv', training + line(OTHER, 'She runs.'))
    put(tmp_path / 'LSMDC16_annos_val.csv', line(OTHER, 'A caf\xe9.').encode('latin-1') + b'\r\n')
    put(tmp_path / 'LSMDC16_challenge_1000_publictect.csv', line(CLIP, 'SOMEONE smiles.'))
    return tmp_path


def test_lines_of_a_clip_are_its_captions(folder):
    splits, notes, _ = read(lsmdc, folder)
    film = '3086_UGLY_TRUTH'
    assert [tuple(record.values()) for record in splits['train']] == [
        (f'{film}/{CLIP}.avi', CLIP, 'SOMEONE "smiles"', f'{CLIP}#0'),
        (f'{film}/{CLIP}.avi', CLIP, 'He turns round.', f'{CLIP}#1'),
        (f'1004_Juno/{OTHER}.avi', OTHER, 'She runs.', f'{OTHER}#0'),
        (f'1004_Juno/{OTHER}.avi', OTHER, 'She runs.', f'{OTHER}#1'),
    ]
    assert splits['val'][0]['text'] == 'A café.'
    further = 'lines of LSMDC16_annos_training.csv that give a clip a further sentence'
    assert notes.lines() == [
        f'2 {further}: {CLIP} (line 3), {OTHER} (line 4)',
        f'1 texts that are not UTF-8, read as Windows-1252: {folder / "LSMDC16_annos_val.csv"}:1',
    ]


def test_the_command_finds_clips_and_counts_missing_ones(folder, tmp_path, capsys):
    put(tmp_path / 'videos' / '3086_UGLY_TRUTH' / f'{CLIP}.mp4', b'')
    out = tmp_path / 'out'
    assert run_here('dataset_converters/lsmdc.py', folder, out, '--video-root', tmp_path / 'videos') == 0
    printed = capsys.readouterr().out
    assert f'{out / "train.jsonl"}: 4 texts of 2 videos, 1 of them missing\n' in printed
    assert f'{out / "test.jsonl"}: 1 texts of 1 videos (published: 1,000 videos)\n' in printed
    assert f'kept as .avi: {OTHER}' in printed
    assert '1 captions of train repeat one of the same video, kept: 1004_Juno' in printed
    gallery = RetrievalDataset(out / 'test.jsonl', tmp_path / 'videos', [])
    assert gallery.videos[0]['video'] == f'3086_UGLY_TRUTH/{CLIP}.mp4'


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (
            line(CLIP, 'a') + f'{CLIP}\t1\t2\ta\n',
            r'val\.csv:2: 4 columns, 6 were expected.*one TAB each: clip_id',
        ),
        (line(CLIP, 'a\tb'), r'val\.csv:1: 7 columns'),
        (line('clip_id', 'sentence'), r"val\.csv:1: clip id 'clip_id' is not <film>_<start>-<end>"),
    ],
)
def test_another_form_is_named(folder, content, words):
    put(folder / 'LSMDC16_annos_val.csv', content)
    with pytest.raises(AnnotationError, match=words):
        read(lsmdc, folder, ['val'])


def test_a_tab_at_the_end_of_a_line_is_no_column(folder):
    put(folder / 'LSMDC16_annos_val.csv', line(CLIP, 'a\t '))
    assert read(lsmdc, folder, ['val'])[0]['val'][0]['text'] == 'a'
