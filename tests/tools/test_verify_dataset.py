"""``verify_dataset.py`` as it is typed; killed in the middle, it goes on where it was."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

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


def opened(tmp_path):
    path = tmp_path / 'opened.txt'
    return path.read_text().split() if path.exists() else []


def test_killed_in_the_middle_it_goes_on_where_it_was(small_set, tmp_path):
    options = ['--import', 'slow_reader', '--reader', 'slow', '--jobs', '2', '--time-limit', '3']
    command = [str(word) for word in (sys.executable, ROOT / 'tools' / TOOL, *small_set, *options)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    while len(opened(tmp_path)) < 9 and process.poll() is None:  # the last two may be in work
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, 'it ended before it could be killed'
    time.sleep(0.5)  # children end when they find their pipe closed
    with closing(sqlite3.connect(tmp_path / 'train.verification/journal.sqlite')) as journal:
        known = {video for (video,) in journal.execute('SELECT video FROM finding')}
    assert 5 <= len(known) < CLIPS and not (tmp_path / 'train.verified.jsonl').exists()
    (tmp_path / 'opened.txt').unlink()

    done = run(TOOL, *small_set, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(opened(tmp_path)) == {path.name for path in small_set[1].iterdir()} - known
    assert f'looked at {CLIPS - len(known)} files, {len(known)} known from before' in done.stdout
    resumed = json.loads((tmp_path / 'train.verification/report.json').read_text())
    filtered = (tmp_path / 'train.verified.jsonl').read_bytes()
    counts = dict(missing=1, unreadable=1, timed_out=1, crashed=0, too_short=0, duplicated=1)
    assert resumed['counts'] == counts
    usable = [f'v{n:02d}.mp4' for n in range(CLIPS) if n not in (1, 5, 7)]
    assert [json.loads(line)['video'] for line in filtered.splitlines()] == usable


def test_what_it_prints_and_one_message_a_mistake(small_set, tmp_path, capsys):
    annotations, root = small_set
    out = tmp_path / 'usable.jsonl'
    options = ['--jobs', 1, '--min-frames', 5, '--keep', 'too_short', '--out', out, '--quick', '--no-hash']
    assert run_here(TOOL, annotations, root, *options) == 0
    printed = capsys.readouterr().out
    for words in ('13 videos in 13 lines', 'gone.mp4', 'v07.mp4: pyav: the file is empty', '(kept)'):
        assert words in printed
    assert 'usable            11 videos, 11 lines' in printed
    assert len(out.read_text().splitlines()) == 11
    for arguments, words in [
        ([annotations, root, '--jobs', '1'], 'was made with other options'),
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
