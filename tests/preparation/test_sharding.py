"""Writing shards: killed, changed, damaged; and what is in them by another program's reading."""

import multiprocessing
import os
import signal
import tarfile
import time

import pytest
from annotation_files import refuses

from stgt_mm.datasets.readers.shards import INDEX, ClipShards, ShardsError, open_shards
from stgt_mm.datasets.records import write_records
from stgt_mm.jobs import Engine
from stgt_mm.preparation.sharding import check_shards, make_shards

NAMES = [f'sub/{"long" * 30}-{n}.mp4' for n in range(7)]


@pytest.fixture
def small_set(tmp_path):
    for n, name in enumerate(NAMES):
        (tmp_path / 'videos' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'videos' / name).write_bytes(os.urandom(700 * n + 1))
    write_records([{'video': name, 'text': 'a'} for name in [*NAMES, NAMES[0]]], tmp_path / 'a.jsonl')
    return tmp_path / 'a.jsonl', tmp_path / 'videos'


def make(small_set, out, **options):
    return make_shards(*small_set, out, Engine(), clips=3, **options)


def contents(out):
    return {path.name: path.read_bytes() for path in out.rglob('*') if path.suffix in ('.tar', '.arrow')}


def test_shards_are_plain_tar_files_and_the_table_points_into_them(small_set, tmp_path):
    made = make(small_set, tmp_path / 'out')
    assert (made.shards, made.written, made.members, made.left_out) == (3, 3, 7, {})
    truth = {name: (small_set[1] / name).read_bytes() for name in NAMES}
    opened = ClipShards(str(tmp_path / 'out'))
    for number, (shard, _) in enumerate(opened.shards):
        with tarfile.open(tmp_path / 'out' / shard) as tar:
            names = NAMES[3 * number : 3 * number + 3]
            assert tar.getnames() == names
            for name in names:
                assert tar.extractfile(name).read() == truth[name]
                assert opened.row(name)['offset'] == tar.getmember(name).offset_data
    assert check_shards(str(tmp_path / 'out'), Engine(jobs=2)) == 7


def test_a_kill_leaves_no_half_shard_and_no_index(small_set, tmp_path):
    out, stuck = tmp_path / 'out', small_set[1] / NAMES[4]
    content = stuck.read_bytes()
    stuck.unlink()
    os.mkfifo(stuck)  # the second shard waits for its second file
    process = multiprocessing.get_context('fork').Process(target=make, args=(small_set, out))
    process.start()
    log = out / 'journal.sqlite-wal'
    while not list(out.glob('.clips-000001*')) or b'clips-000000.tar' not in log.read_bytes():
        assert process.is_alive()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert [path.name for path in out.glob('clips-*.tar')] == ['clips-000000.tar'] and not (
        out / INDEX
    ).exists()
    stuck.unlink()
    stuck.write_bytes(content)
    assert make(small_set, out).written == 2
    assert make(small_set, out).written == 0
    make(small_set, tmp_path / 'at_once')
    assert contents(out) == contents(tmp_path / 'at_once') and len(contents(out)) == 7
    assert not list(out.glob('.*'))


def test_what_cannot_be_read_is_named_and_what_changes_is_written_again(small_set, tmp_path):
    out, root = tmp_path / 'out', small_set[1]
    (root / NAMES[1]).unlink()
    (root / NAMES[5]).write_bytes(b'')
    made = make(small_set, out)
    assert made.left_out == {NAMES[1]: 'No such file or directory', NAMES[5]: 'the file is empty'}
    assert (made.members, NAMES[1] in ClipShards(str(out))) == (5, False)
    (root / NAMES[1]).write_bytes(b'here it is')
    made = make(small_set, out)
    assert (made.written, made.members) == (1, 6)
    assert ClipShards(str(out)).row(NAMES[1])['size'] == 10
    (out / 'clips-000002.tar').unlink()
    assert make(small_set, out).written == 1
    (out / 'clips-000001.tar').write_bytes((out / 'clips-000001.tar').read_bytes()[:-1])
    assert make(small_set, out).written == 1
    assert make(small_set, out, restart=True).written == 3


def test_damaged_members_and_wrong_use_are_named(small_set, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    make(small_set, out)
    tar, row = out / 'clips-000001.tar', open_shards(str(out)).row(NAMES[4])
    content = bytearray(tar.read_bytes())
    content[row['offset']] ^= 255
    tar.write_bytes(content)
    refuses('1 of 7 members are damaged', check_shards, str(out), Engine(), error=ShardsError)
    refuses(f'{NAMES[4]}::{out}/clips-000001.tar', check_shards, str(out), Engine(), error=ShardsError)
    monkeypatch.setattr(tarfile, 'open', lambda *_, **__: (_ for _ in ()).throw(OSError(28, 'No space left')))
    refuses('3 of 3 shards could not', make, small_set, tmp_path / 'full', error=ShardsError)
    assert not (tmp_path / 'full' / INDEX).exists()
    write_records([{'video': '../a.mp4', 'text': 'a'}], tmp_path / 'b.jsonl')
    refuses("'../a.mp4', which leads out", make, (tmp_path / 'b.jsonl', small_set[1]), out, error=ValueError)
    refuses('--engine rya', Engine, 'rya', error=ValueError)
    refuses('--ray-address x', Engine, address='x', error=ValueError)
