"""The pool of processes that nothing hangs, whatever its work does."""

import faulthandler
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hanging import hang_with_the_lock_held

from stgt_mm.jobs.timed_pool import TimedPool

POOL = Path(__file__).parents[2] / 'stgt_mm/jobs/timed_pool.py'
LIMIT_S = 1.5


def work(item):
    if item == 'hang':
        hang_with_the_lock_held()
    if item == 'sleep':
        time.sleep(1000)
    if item == 'segfault':
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == 'exit':
        os._exit(7)
    if item == 'raise':
        raise RuntimeError('no luck')
    return item * 2


@pytest.mark.parametrize('jobs', [1, 3])
def test_pool_survives_what_its_work_does(jobs):
    bad = ['hang', 'segfault', 'exit', 'raise', 'sleep']
    items = [*range(5), *bad[:2], *range(5, 9), *bad[2:], *range(9, 12)]
    start = time.monotonic()
    outcomes = dict(TimedPool(work, jobs, LIMIT_S).run(items))
    assert len(outcomes) == len(items)
    assert {n: outcomes[n].value for n in range(12)} == {n: 2 * n for n in range(12)}
    kinds = dict(hang='timed_out', sleep='timed_out', segfault='crashed', exit='crashed')
    assert {name: outcomes[name].kind for name in bad} == {**kinds, 'raise': 'failed'}
    assert 'SIGSEGV' in outcomes['segfault'].value and 'status 7' in outcomes['exit'].value
    assert outcomes['raise'].value == 'RuntimeError: no luck'
    assert outcomes['hang'].value == 'nothing after 1.5 s'
    assert time.monotonic() - start < 60


def test_pool_needs_positive_numbers():
    for jobs, time_limit, words in ((0, 1.0, '--jobs 0'), (1, 0, '--time-limit 0')):
        with pytest.raises(ValueError, match=words):
            TimedPool(work, jobs, time_limit)


ORPHAN = """
import importlib.util, os, re, sys
spec = importlib.util.spec_from_file_location('timed_pool', sys.argv[2])  # quicker than the package
sys.modules['timed_pool'] = timed_pool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(timed_pool)
timed_pool.GRACE_S = 0
if sys.argv[1] == "alarm":
    timed_pool._die_with_parent = lambda: None
def work(item):
    print(os.getpid(), flush=True)
    re.match(r'(a+)+$', 'a' * 60 + 'b')
list(timed_pool.TimedPool(work, 1, LIMIT).run(['x']))
"""


@pytest.mark.skipif(not hasattr(signal, 'alarm'), reason='no alarms on this system')
@pytest.mark.parametrize('means', ['alarm', 'parent death'])
def test_a_hanging_child_does_not_outlive_a_killed_parent(means):
    if means != 'alarm' and sys.platform != 'linux':
        pytest.skip('only Linux tells a child of the death of its parent')
    code = ORPHAN.replace('LIMIT', '4' if means == 'alarm' else '1000')
    parent = subprocess.Popen([sys.executable, '-c', code, means, POOL], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 60
    while _runs(child):
        assert time.monotonic() < deadline, f'process {child} still hangs'
        time.sleep(0.1)


def _runs(pid):
    try:
        stat = Path(f'/proc/{pid}/stat')
        if stat.exists():
            return stat.read_text().rpartition(')')[2].split()[0] != 'Z'
        os.kill(pid, 0)
    except (ProcessLookupError, FileNotFoundError):
        return False
    return not Path('/proc').is_dir()
