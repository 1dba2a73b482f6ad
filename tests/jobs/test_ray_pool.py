"""Work on two Ray workers: the same outcomes and shards as of processes, and nothing lost with a worker."""

import multiprocessing
import os
import signal
from functools import partial

import pytest
from ray_cluster import two_workers

from stgt_mm.datasets.records import write_records
from stgt_mm.jobs import Engine
from stgt_mm.preparation.sharding import make_shards
from stgt_mm.preparation.verification import Criteria, Inspection, verify


@pytest.fixture(scope='module', autouse=True)
def cluster():
    with two_workers():
        yield


def work(item, flags=None):
    if item == 'segfault':
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == 'raise':
        raise RuntimeError('no luck')
    if item == 5 and flags and not (flags / 'killed').exists():
        (flags / 'killed').touch()
        os.kill(os.getppid(), signal.SIGKILL)  # the worker whose child this is
    return item * 2


def outcomes(kind, items, **options):
    return dict(Engine(kind, 2, 20.0).pool(partial(work, **options), at_once=3).run(items))


def test_outcomes_are_those_of_processes_and_a_killed_worker_loses_nothing(tmp_path):
    items = [*range(7), 'segfault', *range(7, 11), 'raise']
    truth = outcomes('local', items)
    assert outcomes('ray', items, flags=tmp_path) == truth and len(truth) == len(items)
    assert (tmp_path / 'killed').exists()
    assert (truth['segfault'].kind, truth['raise'].value) == ('crashed', 'RuntimeError: no luck')


def test_shards_and_findings_are_the_same(tmp_path):
    (tmp_path / 'videos').mkdir()
    names = [f'{n}.mp4' for n in range(9)]
    for name in names[1:]:
        (tmp_path / 'videos' / name).write_bytes(os.urandom(999))
    write_records([{'video': name, 'text': 'a'} for name in names], tmp_path / 'a.jsonl')
    found = {}
    for kind in ('local', 'ray'):
        out, engine = tmp_path / kind, Engine(kind, 2)
        made = make_shards(tmp_path / 'a.jsonl', tmp_path / 'videos', out, engine, clips=2)
        about = tmp_path / f'{kind}.seen'
        seen = verify(tmp_path / 'a.jsonl', tmp_path / 'videos', about, Inspection(), Criteria(), engine)
        tables = {
            path.name: path.read_bytes() for path in out.rglob('*') if path.suffix in ('.tar', '.arrow')
        }
        found[kind] = made, tables, seen.findings, seen.problems
    assert found['ray'] == found['local'] and len(found['ray'][1]) == 11


def seen(_):
    return os.environ.get('CUDA_VISIBLE_DEVICES'), multiprocessing.get_start_method()


def test_a_job_with_a_part_of_a_gpu_has_a_process_where_cuda_works():
    pool = Engine('ray', 1, 60.0, gpus=0.5).pool(seen)
    assert [own.value for _, own in pool.run([0])] == [('0', 'spawn')]


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match='--jobs 0'):
        Engine('ray', 0).pool(work)
