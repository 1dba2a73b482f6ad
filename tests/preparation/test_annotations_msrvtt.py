import csv
import json
from collections import Counter

import pytest
from annotation_files import SHARED, needs_real, put, read, refuses
from command_line import run_here

from stgt_mm.datasets import RetrievalDataset
from stgt_mm.datasets.records import read_records
from stgt_mm.preparation.annotations import msrvtt

CSV = 'key,vid_key,video_id,sentence\n'


def content(*videos, captions=2):
    """The JSON of videos (id, part of the full split), captions in turns."""
    sentences = [
        {'caption': f'caption {n} of {name}', 'video_id': name, 'sen_id': n}
        for n in range(captions)
        for name, _ in videos
    ]
    listed = [{'video_id': name, 'split': split, 'category': 3, 'id': 0} for name, split in videos]
    return {'info': {}, 'videos': listed, 'sentences': sentences}


@pytest.fixture
def folder(tmp_path):
    """Four videos in the forms of the real files."""
    put(tmp_path / 'train_val_videodatainfo.json', content(('video0', 'train'), ('video1', 'validate')))
    put(tmp_path / 'test_videodatainfo.json', content(('video2', 'test'), ('video3', 'test')))
    put(tmp_path / 'MSRVTT_train.9k.csv', 'video_id\nvideo0\nvideo1\nvideo2\n')
    put(tmp_path / 'MSRVTT_train.7k.csv', 'video_id\nvideo1\nvideo0\n')
    put(tmp_path / 'MSRVTT_JSFUSION_test.csv', CSV + 'ret0,msr3,video3,"a man, so it seems, sings"\n')
    return tmp_path


def texts_of(records):
    return [(record['video_id'], record['text']) for record in records]


@needs_real('msrvtt')
class TestRealFiles:
    @pytest.fixture(scope='class')
    def splits(self):
        return read(msrvtt, SHARED / 'msrvtt')[0]

    @pytest.fixture(scope='class')
    def sentences(self):
        names = ('train_val_videodatainfo.json', 'test_videodatainfo.json')
        parts = [json.loads((SHARED / 'msrvtt' / name).read_bytes()) for name in names]
        return [(s['video_id'], s['caption'].strip()) for part in parts for s in part['sentences']]

    @pytest.mark.parametrize(
        ('split', 'videos', 'texts'),
        [
            ('train_9k', 9000, 180_000),
            ('train_7k', 7010, 140_200),
            ('test_1ka', 1000, 1000),
            ('train_full', 6513, 130_260),
            ('val_full', 497, 9_940),
            ('test_full', 2990, 59_800),
        ],
    )
    def test_counts(self, splits, split, videos, texts):
        assert len(splits[split]) == texts == len({r['text_id'] for r in splits[split]})
        assert len({r['video_id'] for r in splits[split]}) == videos == msrvtt.PUBLISHED[split]
        assert all(r['video'] == f'{r["video_id"]}.mp4' for r in splits[split])

    def test_the_test_is_the_sentences_of_the_csv(self, splits):
        with (SHARED / 'msrvtt' / 'MSRVTT_JSFUSION_test.csv').open(newline='') as file:
            rows = [(row['video_id'], row['sentence']) for row in csv.DictReader(file)]
        assert texts_of(splits['test_1ka']) == rows
        assert sum(count > 1 for count in Counter(text for _, text in rows).values()) == 4

    def test_training_is_all_captions_of_the_other_videos(self, splits, sentences):
        tested = {record['video_id'] for record in splits['test_1ka']}
        assert Counter(texts_of(splits['train_9k'])) == Counter(s for s in sentences if s[0] not in tested)
        both = texts_of(splits['train_full']) + texts_of(splits['val_full'])
        assert Counter(both) == Counter(texts_of(splits['train_7k'])) == Counter(sentences[:140_200])
        assert Counter(texts_of(splits['test_full'])) == Counter(sentences[140_200:])

    def test_captions_of_a_video_keep_their_order(self, splits, sentences):
        mine = [text for video, text in texts_of(splits['train_9k']) if video == 'video7010']
        assert mine == [text for video, text in sentences if video == 'video7010']


def test_one_file_with_both_is_the_same(folder, tmp_path):
    two, _, _ = read(msrvtt, folder)
    parts = [folder / 'train_val_videodatainfo.json', folder / 'test_videodatainfo.json']
    first, second = (json.loads(part.read_text()) for part in parts)
    for part in parts:
        part.unlink()
    put(folder / 'MSRVTT_data.json', {key: first[key] + second[key] for key in ('videos', 'sentences')})
    one, notes, _ = read(msrvtt, folder)
    assert one == two and list(one) == list(msrvtt.NEEDS)
    assert not notes.counts


def test_what_the_files_do_not_allow_is_named(folder):
    (folder / 'test_videodatainfo.json').unlink()
    splits, notes, _ = read(msrvtt, folder)
    assert list(splits) == ['train_7k', 'test_1ka', 'train_full', 'val_full']
    assert 'train_9k (no MSRVTT_data.json or test_videodatainfo.json)' in notes.lines()[0]
    with pytest.raises(FileNotFoundError, match=r'train_9k: no MSRVTT_data\.json or test_videodata'):
        read(msrvtt, folder, ['train_9k'])


def test_the_test_needs_only_the_csv(folder):
    for path in folder.glob('*.json'):
        path.unlink()
    text = 'a man, so it seems, sings'
    record = {'video': 'video3.mp4', 'video_id': 'video3', 'text': text, 'text_id': 'ret0'}
    assert read(msrvtt, folder)[0] == {'test_1ka': [record]}


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('MSRVTT_train.9k.csv', 'video_id\nvideo0\nvideo77\n', ['.9k.csv:3:', "'video77'", 'none of the']),
        ('MSRVTT_train.9k.csv', 'video_id\nvideo0\nvideo3\n', ['both train_9k and test_1ka', 'video3']),
        ('MSRVTT_JSFUSION_test.csv', 'key,video_id\n', ['.csv:1:', "no column 'sentence'"]),
        ('MSRVTT_JSFUSION_test.csv', CSV + 'k,m,video3,a\nk,m,video3,b\n', ['.csv:3:', 'each key once']),
        ('MSRVTT_JSFUSION_test.csv', CSV + 'k,m,,a\n', ['.csv:2:', 'both are needed']),
        ('test_videodatainfo.json', content(), ['test_full: no record is left']),
        ('test_videodatainfo.json', {'videos': []}, ["no 'sentences'", 'there is: videos']),
        ('test_videodatainfo.json', {'videos': [{'id': 3}]}, ['videos[0]', "no 'video_id'"]),
        (
            'test_videodatainfo.json',
            {'videos': [], 'sentences': [{'video_id': 'x', 'caption': 'a'}]},
            ['sentences[0]', "'x' is not among the videos"],
        ),
        ('test_videodatainfo.json', content(('video0', 'test')), ['videos[0]', "'video0' is there twice"]),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(folder, name, content, words, capsys, tmp_path):
    put(folder / name, content)
    if 'train_9k' not in str(words) and '9k' not in name:
        (folder / 'MSRVTT_train.9k.csv').unlink()
    assert run_here('dataset_converters/msrvtt.py', folder, tmp_path / 'out') == 2
    message = capsys.readouterr().err
    assert all(word in message for word in words)
    assert not (tmp_path / 'out').exists()


def test_empty_captions_and_uncaptioned_videos_are_counted(folder):
    videos = [{'video_id': name, 'split': 'test'} for name in ('video2', 'video3')]
    sentences = [{'video_id': 'video2', 'caption': text} for text in ('a', ' ', 'a')]
    put(folder / 'test_videodatainfo.json', {'videos': videos, 'sentences': sentences})
    splits, notes, _ = read(msrvtt, folder, ['test_full'])
    assert [record['text_id'] for record in splits['test_full']] == ['video2#0', 'video2#2']
    assert notes.lines() == [
        '1 captions without a letter or digit, left out: video2#1',
        '1 videos of a list without a caption, left out: video3',
    ]


def test_the_command_makes_files_that_the_data_set_reads(folder, tmp_path, capsys):
    for name in ('video0.mp4', 'video1.webm', 'TestVideo/video2.mp4', 'TestVideo/video3.mp4'):
        put(tmp_path / 'videos' / name, b'')
    out = tmp_path / 'out'
    assert run_here('dataset_converters/msrvtt.py', folder, out, '--video-root', tmp_path / 'videos') == 0
    printed = capsys.readouterr().out
    assert f'{out / "test_full.jsonl"}: 4 texts of 2 videos (published: 2,990 videos)' in printed
    assert 'missing' not in printed and 'note:' not in printed
    videos = [record['video'] for record in read_records(out / 'train_7k.jsonl')]
    assert videos[::2] == ['video1.webm', 'video0.mp4']
    gallery = RetrievalDataset(out / 'test_full.jsonl', tmp_path / 'videos', [])
    assert gallery.text_to_videos == [[0], [0], [1], [1]]
    assert [video['video_id'] for video in gallery.videos] == ['video2', 'video3']


def test_some_splits_and_another_extension(folder, tmp_path, capsys):
    options = ('--splits', 'test_1ka', '--suffix', 'avi')
    assert run_here('dataset_converters/msrvtt.py', folder, tmp_path / 'out', *options) == 0
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['.arrow_cache', 'test_1ka.jsonl']
    assert read_records(tmp_path / 'out' / 'test_1ka.jsonl')[0]['video'] == 'video3.avi'
    assert 'paths end in .avi' in capsys.readouterr().out


def test_an_empty_caption_of_the_csv_is_counted(folder):
    put(folder / 'MSRVTT_JSFUSION_test.csv', CSV + 'k0,m,video3,a\nk1,m,video2,...\n')
    splits, notes, _ = read(msrvtt, folder, ['test_1ka'])
    assert len(splits['test_1ka']) == 1
    assert notes.lines()[0].endswith('left out: ' + str(folder / 'MSRVTT_JSFUSION_test.csv') + ':3')


def test_a_caption_that_is_no_text(folder):
    wrong = content(('video2', 'test'))
    wrong['sentences'][1]['caption'] = None
    put(folder / 'test_videodatainfo.json', wrong)
    refuses("sentences[1]: 'caption' is 'None', a text was expected", read, msrvtt, folder, ['test_full'])
