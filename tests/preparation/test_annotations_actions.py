"""UCF101 and HMDB51: made files of the official form and size, what is missing or wrong."""

import json

import pytest
from annotation_files import put, read, refuses
from command_line import run_here

from stgt_mm.preparation.annotations import hmdb51, ucf101

UCF_ACTIONS = ['HandStandPushups', *(f'Action{number:03}' for number in range(100))]


def ucf_videos(sizes):
    """Names of so many videos in train and test, dealt out over all actions."""
    names = {}
    for split, size in sizes.items():
        own = [(UCF_ACTIONS[n % 101], f'{split}{n // 101:03}') for n in range(size)]
        names[split] = [f'{action}/v_{action}_{rest}.avi' for action, rest in own]
    return names


@pytest.fixture
def ucf(tmp_path):
    classes = {action: number for number, action in enumerate(UCF_ACTIONS, start=1)}
    put(tmp_path / 'classInd.txt', ''.join(f'{n} {action}\r\n' for action, n in classes.items()))
    for split in (1, 2, 3):
        sizes = {kind: ucf101.PUBLISHED[f'{kind}_{split}'] for kind in ('train', 'test')}
        names = ucf_videos(sizes)
        lines = [f'{name} {classes[name.partition("/")[0]]}\r\n' for name in names['train']]
        put(tmp_path / f'trainlist0{split}.txt', ''.join(lines))
        put(tmp_path / f'testlist0{split}.txt', ''.join(f'{name}\r\n' for name in names['test']))
    return tmp_path


@pytest.fixture
def hmdb(tmp_path):
    marks = [1] * 70 + [2] * 30 + [0] * 16
    for action in hmdb51.ACTIONS:
        lines = ''.join(f'#4_(HQ)_{action}_f_cm_{n}.avi {mark} \n' for n, mark in enumerate(marks))
        put(tmp_path / f'{action}_test_split1.txt', lines)
    return tmp_path


def test_ucf101_has_its_published_numbers(ucf, tmp_path, capsys):
    assert run_here('dataset_converters/ucf101.py', ucf, tmp_path / 'out') == 0
    printed = capsys.readouterr().out
    assert 'train_1.jsonl: 9,537 videos\n' in printed and 'test_1.jsonl: 3,783 videos\n' in printed
    assert '(published' not in printed and 'actions.txt: 101 actions' in printed
    lines = (tmp_path / 'out' / 'train_2.jsonl').read_text().splitlines()
    assert len(lines) == 9586 and json.loads(lines[0]) == {
        'video': 'HandStandPushups/v_HandStandPushups_train000.avi',
        'video_id': 'v_HandStandPushups_train000',
        'action': 'HandStandPushups',
    }
    names = (tmp_path / 'out' / 'actions.txt').read_text().split()
    assert names == sorted(UCF_ACTIONS)


def test_hmdb51_has_its_published_numbers(hmdb, tmp_path, capsys):
    put(hmdb / 'wave_test_split2.txt', 'a_wave_1.avi 1\n')
    put(tmp_path / 'videos' / 'wave' / '#4_(HQ)_wave_f_cm_3.mp4', b'')
    out = tmp_path / 'out'
    assert run_here('dataset_converters/hmdb51.py', hmdb, out, '--video-root', tmp_path / 'videos') == 0
    printed = capsys.readouterr().out
    assert 'train_1.jsonl: 3,570 videos, 3,569 of them missing' in printed
    assert 'test_1.jsonl: 1,530 videos, 1,530 of them missing' in printed
    assert 'train_2 (no brush_hair_test_split2.txt' in printed and 'and 47 more)' in printed
    records = [json.loads(line) for line in (out / 'train_1.jsonl').read_text().splitlines()]
    assert len({record['action'] for record in records}) == 51
    assert records[-67]['video'] == 'wave/#4_(HQ)_wave_f_cm_3.mp4'
    assert records[-66]['video'] == 'wave/#4_(HQ)_wave_f_cm_4.avi', 'where it is assumed to be'


def test_an_action_with_fewer_videos_is_noted(hmdb):
    put(hmdb / 'kiss_test_split1.txt', 'a_kiss_0.avi 1\nb_kiss_0.avi 2\n')
    splits, notes, _ = read(hmdb51, hmdb, ['train_1', 'test_1'])
    assert len(splits['train_1']) == 3570 - 69
    assert '1 actions without 30 videos in test_1: kiss (1)' in notes.lines()


def test_what_is_missing_or_wrong_is_named(hmdb, ucf):
    (hmdb / 'wave_test_split1.txt').unlink()
    refuses('train_1: no wave_test_split1.txt', read, hmdb51, hmdb, ['train_1'], error=FileNotFoundError)
    put(hmdb / 'wave_test_split1.txt', 'a_wave_1.avi 1\nb_wave_1.avi 3\n')
    refuses(["wave_test_split1.txt:2: 'b_wave_1.avi 3'", '0 (unused)'], read, hmdb51, hmdb, ['train_1'])
    good = (ucf / 'trainlist01.txt').read_text()
    for line, words in (
        ('Action000/v_Action000_new.avi 9', "'Action000' is number 9 here and 2 in classInd.txt"),
        ('Sleep/v_Sleep_g01_c01.avi 1', "'Sleep/v_Sleep_g01_c01.avi' is in no folder"),
        ('Action000/v_Action000_test000.avi 2', "'v_Action000_test000.avi' is in the training too"),
        (
            'Action000/v_Action000_train000.avi 2',
            "trainlist01.txt:9538: 'v_Action000_train000.avi' is already",
        ),
    ):
        put(ucf / 'trainlist01.txt', f'{good}{line}\n')
        refuses(words, read, ucf101, ucf, ['test_1'])
    (ucf / 'classInd.txt').unlink()
    refuses('no classInd.txt', read, ucf101, ucf, ['test_1'], error=FileNotFoundError)
