"""``verify_dataset.py`` as it is typed; killed in the middle, it goes on where it was."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import ROOT, run, run_here

from stgt_mm.datasets.readers import write_video

TOOL = 'dataset_converters/verify_dataset.py'
CLIPS = 12
READER = """
import re, time
from pathlib import Path
from stgt_mm.datasets.readers import PyAVReader
from stgt_mm.registry import READERS

@READERS.register_module(name='slow')
class Slow(PyAVReader):
    def __init__(self, path, exact=True):
        with Path('opened.txt').open('a') as log:
            log.write(Path(path).name + '\\n')
        if 'endless' in path:
            re.match(r'(a+)+$', 'a' * 60 + 'b')
        time.sleep(0.2)
        super().__init__(path, exact)
"""


@pytest.fixture
def small_set(tmp_path):
    root = tmp_path / 'videos'
    root.mkdir()
    names = [f'v{n:02d}.mp4' for n in range(CLIPS)]
    for n, name in enumerate(names):
        write_video(root / name, np.full((4, 16, 16, 3), 20 * n, np.uint8))
    (root / names[5]).write_bytes((root / names[2]).read_bytes())
    (root / names[7]).write_bytes(b'')
    (root / names[1]).rename(root / 'endless.mp4')
    names[1] = 'endless.mp4'
    annotations = tmp_path / 'train.jsonl'
    annotations.write_text(''.join(json.dumps({'video': v, 'text': v}) + '\n' for v in [*names, 'gone.mp4']))
    (tmp_path / 'slow_reader.py').write_text(READER)
    return annotations, root


def journal_lines(tmp_path):
    path = tmp_path / 'train.verification/journal.jsonl'
    return path.read_bytes().count(b'\n') if path.exists() else 0


def test_killed_in_the_middle_it_goes_on_where_it_was(small_set, tmp_path):
    options = ['--import', 'slow_reader', '--reader', 'slow', '--jobs', '2', '--time-limit', '3']
    command = [sys.executable, ROOT / 'tools' / TOOL, *small_set, *options]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(
        list(map(str, command)), cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
    )
    while journal_lines(tmp_path) < 6 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, 'it ended before it could be killed'
    time.sleep(0.5)  # children end when they find their pipe closed
    journal = tmp_path / 'train.verification/journal.jsonl'
    known = {json.loads(line)['video'] for line in journal.read_text().splitlines()[1:]}
    assert 5 <= len(known) < CLIPS and not (tmp_path / 'train.verified.jsonl').exists()
    with journal.open('ab') as file:
        file.write(b'{"video": "v1')  # as a kill in the middle of a write leaves it
    (tmp_path / 'opened.txt').unlink()

    done = run(TOOL, *small_set, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    opened = set((tmp_path / 'opened.txt').read_text().split())
    assert opened == {path.name for path in small_set[1].iterdir()} - known
    assert f'{len(known)} known from before' in done.stdout
    assert f'{CLIPS - len(known)}/{CLIPS - len(known)}' in done.stderr  # the progress bar
    resumed = json.loads((tmp_path / 'train.verification/report.json').read_text())
    filtered = (tmp_path / 'train.verified.jsonl').read_bytes()
    assert resumed['counts'] == {
        'missing': 1,
        'unreadable': 1,
        'timed_out': 1,
        'crashed': 0,
        'too_short': 0,
        'duplicated': 1,
    }
    usable = [f'v{n:02d}.mp4' for n in range(CLIPS) if n not in (1, 5, 7)]
    assert [json.loads(line)['video'] for line in filtered.splitlines()] == usable


def test_what_it_prints(small_set, tmp_path, capsys):
    annotations, root = small_set
    out = tmp_path / 'usable.jsonl'
    options = [
        '--jobs',
        '1',
        '--min-frames',
        '5',
        '--keep',
        'too_short',
        '--out',
        out,
        '--quick',
        '--no-hash',
    ]
    assert run_here(TOOL, annotations, root, *options) == 0
    printed = capsys.readouterr().out
    for words in ('13 videos in 13 lines', 'gone.mp4', 'v07.mp4: pyav: the file is empty', '(kept)'):
        assert words in printed
    assert 'usable            11 videos, 11 lines' in printed
    assert len(out.read_text().splitlines()) == 11
    assert run_here(TOOL, annotations, root, '--jobs', '1') == 2
    assert 'was made with other options' in capsys.readouterr().err


def test_mistakes_give_one_message(small_set, tmp_path, capsys):
    annotations, root = small_set
    for arguments, words in [
        ([tmp_path / 'no.jsonl', root], 'no annotation file'),
        ([annotations, tmp_path / 'no'], 'no folder'),
        ([annotations, root, '--jobs', '0'], '--jobs 0'),
        ([annotations, root, '--reader', 'decrod'], 'decrod'),
        ([annotations, root, '--keep', 'short'], '--keep short'),
        ([annotations, root, '--import', 'no_such_module'], 'no_such_module'),
    ]:
        assert run_here(TOOL, *arguments) == 2
        printed = capsys.readouterr().err
        assert words in printed and 'Traceback' not in printed
