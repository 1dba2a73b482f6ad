"""What is absent is listed in one message, with commands that exist, before anything is built."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stgt_mm.config import load_config
from stgt_mm.engine.cli import build_runner
from stgt_mm.engine.needed_files import (
    MissingFilesError,
    NeededFile,
    check_needed_files,
    maker_of,
    needed_files,
)

ROOT = Path(__file__).parents[2]
TRAINING = ('train_dataloader', 'val_dataloader')


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The tiny config in a folder where nothing is."""
    monkeypatch.chdir(tmp_path)
    return load_config(ROOT / 'configs/moving_shapes/stgt_tiny.py')


def make(paths):
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if path.suffix else path.mkdir(exist_ok=True)


def test_everything_that_is_absent_is_in_one_message_with_its_key_and_command(tiny):
    with pytest.raises(MissingFilesError) as error:
        check_needed_files(tiny, TRAINING)
    text = str(error.value)
    for word in (
        "no vocabulary file 'data/moving_shapes/vocab.txt' (model.data_preprocessor.tokenizer.vocab)",
        "no annotation file 'data/moving_shapes/train.jsonl' (train_dataloader.dataset.ann_file)",
        "no annotation file 'data/moving_shapes/val.jsonl' (val_dataloader.dataset.ann_file)",
        "no folder of videos 'data/moving_shapes/videos' (train_dataloader.dataset.video_root)",
    ):
        assert word in text
    assert text.count('moving_shapes.py data/moving_shapes') == 1, 'one command, said once'
    assert 'test.jsonl' not in text and 'tiny_vit' not in text


def test_only_what_the_run_reads_counts(tiny):
    make(['data/moving_shapes/vocab.txt', 'data/moving_shapes/train.jsonl', 'data/moving_shapes/videos'])
    check_needed_files(tiny, ['train_dataloader'])
    with pytest.raises(MissingFilesError, match=r'backwards\.jsonl'):
        check_needed_files(tiny, ['test_dataloader'])


def test_nothing_is_built_first(tiny, monkeypatch):
    built = []
    monkeypatch.setattr('stgt_mm.engine.runner.VideoTextRunner.from_cfg', built.append)
    with pytest.raises(MissingFilesError):
        build_runner(tiny, reads=TRAINING)
    assert not built


def test_where_a_training_goes_on_its_start_is_not_needed(tiny, tmp_path):
    tiny.load_from, tiny.work_dir = 'weights/stgt_w10m_256.safetensors', str(tmp_path / 'run')
    assert 'load_from' in [item.key for item in needed_files(tiny, TRAINING)]
    make(['run/epoch_1.pth'])
    tiny.resume = 'auto'
    assert 'load_from' not in [item.key for item in needed_files(tiny, TRAINING)]


def test_data_sets_inside_others_are_looked_at():
    inner = [dict(ann_file='a.jsonl', video_root='a'), dict(ann_file='b.jsonl', video_root='b')]
    cfg = dict(train_dataloader=dict(dataset=dict(sources=inner)))
    found = needed_files(cfg, ['train_dataloader'])
    assert [(item.key.rsplit('.', 2)[1:], item.path) for item in found[::2]] == [
        (['0', 'ann_file'], 'a.jsonl'),
        (['1', 'ann_file'], 'b.jsonl'),
    ]


def test_processes_after_the_first_say_nothing(tiny, monkeypatch):
    waited = []
    monkeypatch.setattr('stgt_mm.engine.needed_files.time.sleep', waited.append)
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(SystemExit):
        check_needed_files(tiny, TRAINING)
    assert waited


COMMANDS = {
    ('weights', 'weights/eva_vit_g.safetensors'): 'convert.py eva ',
    ('weights', '/disk/weights/blip2_qformer.safetensors'): 'convert.py lavis_blip2 ',
    ('weights', 'weights/stgt_w10m_v4m_1024.safetensors'): 'checkpoint_w10m_v4m_1024.pth',
    ('weights', 'work_dirs/pretrain_w10m/epoch_12.pth'): 'dist_train.sh configs/stgt/pretrain_w10m.py',
    ('weights', 'elsewhere.pth'): '--cfg-options key=PATH',
    ('vocabulary file', 'weights/bert-base-uncased/vocab.txt'): '--local-dir weights/bert-base-uncased',
    ('annotation file', 'data/msvd/test.jsonl'): 'msvd.py downloads/msvd data/msvd',
    ('annotation file', 'data/webvid10m/train.jsonl'): 'webvid.py results_10M_train.csv',
    ('annotation file', 'data/vidal10m/train_4m.jsonl'): '--max-videos 4000000',
    ('annotation file', 'mine.jsonl'): 'custom.py LIST mine.jsonl',
    ('folder of videos', 'data/msvd/videos'): 'ln -s VIDEOS data/msvd/videos',
}


@pytest.mark.parametrize(('kind', 'path'), COMMANDS)
def test_the_command_fits_the_path_and_its_tool_exists(kind, path):
    command = maker_of(NeededFile('key', kind, path))
    assert COMMANDS[kind, path] in command
    for tool in re.findall(r'(?:tools|configs)/\S+?\.(?:py|sh)', command):
        assert (ROOT / tool).is_file()


def test_the_tool_stops_with_the_list(tmp_path):
    tool, config = ROOT / 'tools/test.py', ROOT / 'configs/retrieval/msrvtt_zeroshot.py'
    checkpoint = 'weights/stgt_w10m_v7m_256.safetensors'
    command = [sys.executable, str(tool), str(config), checkpoint]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    for word in (
        '5 of the paths',
        'eva_vit_g',
        checkpoint,
        'vocab.txt',
        'test_1ka.jsonl',
        'data/msrvtt/videos',
    ):
        assert word in done.stderr
