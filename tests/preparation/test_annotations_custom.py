"""A user's own set: tables as spreadsheets write them, folders of downloaders, LAVIS-style lists."""

import csv
import json

import pytest
from annotation_files import put, refuses
from command_line import run_here

from stgt_mm.datasets.records import read_records
from stgt_mm.preparation.annotations.custom import from_csv, from_folder, from_json, records_from
from stgt_mm.preparation.annotations.custom_questions import questions_from

TOOL = 'dataset_converters/custom.py'


def table(path, rows, **options):
    with path.open('w', newline='', encoding=options.pop('encoding', 'utf-8')) as file:
        csv.writer(file, **options).writerows(rows)
    return path


CAPTIONS = ['two\nlines', 'a "quoted", word', 'a line\u2028separator', 'naïve 日本']


@pytest.mark.parametrize('options', [{}, {'lineterminator': '\n'}, {'encoding': 'utf-8-sig'}])
def test_a_table_keeps_every_caption(tmp_path, options):
    rows = [['caption', 'note', 'video'], *([text, 'x', f'v{n}.mp4'] for n, text in enumerate(CAPTIONS))]
    records = from_csv(table(tmp_path / 'c.csv', rows, **options))
    assert records == [{'video': f'v{n}.mp4', 'text': text} for n, text in enumerate(CAPTIONS)]


@pytest.mark.parametrize(
    ('lines', 'words'),
    [
        ('video;caption\na.mp4;b\n', 'not with semicolons'),
        ('clip,caption\nv,a\n', "no column 'video'"),
        ('video,caption\n', 'no captioned video'),
        ('video,caption\nv1.mp4,a, b\n', 'c.csv:2: more values'),
        ('video,caption\na.mp4,b\nc.mp4,!?\n', "c.csv:3: caption is '!?'"),
        ('video,caption\na.mp4,b\nc.mp4,\n', "c.csv:3: caption is ''"),
        ('video,caption\na.mp4,b\nc.mp4\n', 'c.csv:3: caption is None'),
        ('video,caption\na.mp4,b\nc.M3U8,d\n', "c.csv:3: video is 'c.M3U8', a playlist"),
    ],
)
def test_mistakes_in_a_table_name_the_line(tmp_path, lines, words):
    refuses(words, from_csv, put(tmp_path / 'c.csv', lines))


def test_a_folder_of_videos_and_pictures(tmp_path):
    """video2dataset and img2dataset write 00000/000000001.mp4 (or .jpg), .txt and .json."""
    (tmp_path / '00000').mkdir()
    for name in ('000000001.mp4', '000000002.jpg', '000000002.json', '000000003.WEBM'):
        (tmp_path / '00000' / name).touch()
    (tmp_path / '00000' / '000000001.txt').write_text('one\r\n\r\nzwei\u2028drei\r\n')
    (tmp_path / '00000' / '000000002.txt').write_text('picture')
    (tmp_path / '00000' / '000000003.txt').write_text('third')
    assert from_folder(tmp_path) == [
        {'video': '00000/000000001.mp4', 'text': 'one'},
        {'video': '00000/000000001.mp4', 'text': 'zwei\u2028drei'},
        {'video': '00000/000000002.jpg', 'text': 'picture'},
        {'video': '00000/000000003.WEBM', 'text': 'third'},
    ]
    (tmp_path / '00000' / '000000002.txt').write_text('fine\n...\n')
    refuses('neither a folder', records_from, tmp_path / '00000' / '000000002.txt')
    refuses("000000002.txt:2: caption is '...'", from_folder, tmp_path)
    (tmp_path / '00000' / '000000001.txt').unlink()
    refuses('000000001.txt', from_folder, tmp_path)


def test_lavis_lists(tmp_path):
    path = tmp_path / 'test.json'
    entries = [
        {'video': 'v/1.mp4', 'caption': ['one', 'two'], 'instance_id': 'v1'},
        {'video': 'v/2.mp4', 'caption': 'three'},
        {'image': 'i/3.jpg', 'caption': 'four', 'image_id': 3},
        {'video': None, 'file': '4.mp4', 'caption': 'five'},
        {'file': '5.mp4', 'caption': None},
    ]
    path.write_text(json.dumps(entries))
    assert [(record['video'], record['text']) for record in records_from(path)] == [
        ('v/1.mp4', 'one'),
        ('v/1.mp4', 'two'),
        ('v/2.mp4', 'three'),
        ('i/3.jpg', 'four'),
        ('4.mp4', 'five'),
    ]
    for wrong, words in (
        ([{'caption': 'a', 'clip': 'b'}], 'entry 0: neither "video", "file" nor "image" in it; it has: cap'),
        ([entries[0], {'video': 'a.mp4', 'caption': ['a', 7]}], 'entry 1: caption is 7'),
        ([entries[0], {'video': '', 'caption': 'a'}], "entry 1: video is ''"),
        ([{'file': 'a/b.ffconcat', 'caption': 'a'}], "entry 0: video is 'a/b.ffconcat', a playlist"),
    ):
        path.write_text(json.dumps(wrong))
        refuses(words, from_json, path)


def test_the_command(tmp_path, capsys):
    path, out, videos = tmp_path / 'c.csv', tmp_path / 'train.jsonl', tmp_path / 'videos'
    videos.mkdir()
    (videos / 'a.mp4').touch()
    table(path, [['video', 'caption', 'video_id'], ['a.mp4', 'one', 'A'], ['a.mp4', 'two', 'A']])
    assert run_here(TOOL, path, out, '--video-root', videos) == 0
    assert 'Wrote 2 captions of 1 videos' in capsys.readouterr().out
    ids = [(record['video_id'], record['text_id']) for record in read_records(out)]
    assert ids == [('A', 'A#0'), ('A', 'A#1')]
    table(path, [['video', 'caption'], ['a.mp4', 'one'], ['b.mp4', 'two']])
    assert run_here(TOOL, path, out, '--video-root', videos) == 2
    assert '1 of 2 videos are missing' in capsys.readouterr().err


def test_questions_of_a_table_and_of_a_list(tmp_path):
    rows = [['answer', 'question', 'video', 'question_id'], ['a dog', 'who, then?', 'a.mp4', 'q1']]
    asked = {'video': 'a.mp4', 'question_id': 'q1', 'question': 'who, then?', 'answer': 'a dog'}
    assert questions_from(table(tmp_path / 'q.csv', rows)) == [asked]
    two = [{'question': 'what?', 'answer': 'ball'}, {'question': 'who?', 'answer': ['man', 'boy']}]
    entries = [{'file': 'b.mp4', 'caption': 'x', 'qa': two}, {'video': 'c.mp4', 'qa': []}, asked]
    assert questions_from(put(tmp_path / 'q.json', entries)) == [
        {'video': 'b.mp4', 'question': 'what?', 'answer': 'ball'},
        {'video': 'b.mp4', 'question': 'who?', 'answers': ['man', 'boy']},
        asked,
    ]


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('q.csv', 'video,question\na.mp4,who?\n', ["q.csv:1: no column 'answer'", 'video,question,answer']),
        ('q.csv', 'video,question,answer\na.mp4,who?,\n', "q.csv:2: answer is ''"),
        ('q.json', [{'video': 'a.mp4', 'question': 'who?'}], 'entry 0: answer is None. Write it, or remove'),
        ('q.json', [{'video': 'a.mp4', 'qa': ['who?']}], "entry 0: 'who?' is not an object with"),
        ('q.json', [{'question': 'who?', 'answer': 'x'}], 'entry 0: neither "video"'),
        ('q.json', [{'video': 'a.mp4', 'caption': 'x'}], 'has no question'),
        ('q.txt', 'who?', 'neither a .csv nor a .json file'),
    ],
)
def test_mistakes_in_questions_are_named(tmp_path, name, content, words):
    refuses(words, questions_from, put(tmp_path / name, content))


def test_the_command_with_questions(tmp_path, capsys):
    source = put(tmp_path / 'q.json', [{'video': 'a.mp4', 'question': 'who?', 'answer': 'man'}] * 2)
    out = tmp_path / 'qa.jsonl'
    assert run_here(TOOL, source, out, '--questions') == 0
    assert 'Wrote 2 questions of 1 videos' in capsys.readouterr().out
    assert [record['question_id'] for record in read_records(out, ('video', 'question'))] == ['a#0', 'a#1']
