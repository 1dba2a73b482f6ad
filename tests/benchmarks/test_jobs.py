import os
import sys
import time

import pytest
from jobs import Job, final_checkpoint, free_cores, run_chains

from stgt_mm.errors import UserError

COUNT = 'import sys; open(sys.argv[1], "a").write("x"); print("said")'


def job(tmp_path, name, code=COUNT, identity=''):
    command = (sys.executable, '-S', '-c', code, str(tmp_path / f'{name}.count'))
    return Job(name, command, tmp_path / 'jobs' / f'{name}.json', identity)


def test_a_job_runs_once_and_again_when_it_is_another(tmp_path):
    first, second = job(tmp_path, 'first'), job(tmp_path, 'second')
    assert run_chains([[first, second]]) == 2
    assert first.finished()['seconds'] > 0 and 'said' in first.log.read_text()
    assert run_chains([[first, second]]) == 0
    assert run_chains([[first, job(tmp_path, 'second', identity='other weights')]]) == 1
    assert second.finished() is None
    first.marker.write_text('{"comm')
    assert run_chains([[first]]) == 1
    assert (tmp_path / 'first.count').read_text() == 'xx'
    assert (tmp_path / 'second.count').read_text() == 'xx'


def test_a_failure_shows_the_end_of_the_log_and_stops_the_others(tmp_path):
    bad = job(tmp_path, 'bad', 'import sys; print("the reason"); sys.exit(3)')
    slow = job(tmp_path, 'slow', 'import time; time.sleep(300)')
    started = time.monotonic()
    with pytest.raises(UserError, match=r'bad ended with status 3(.|\n)*the reason'):
        run_chains([[slow], [bad, job(tmp_path, 'never')]], cores=[free_cores()[0]] * 2)
    assert time.monotonic() - started < 60
    assert bad.finished() is None and slow.finished() is None and not (tmp_path / 'never.count').exists()


@pytest.mark.skipif(not hasattr(os, 'sched_getaffinity'), reason='the system binds no process to a core')
def test_a_chain_has_one_core_and_one_thread(tmp_path):
    code = 'import os, time; time.sleep(0.5); print(os.sched_getaffinity(0), os.environ["OMP_NUM_THREADS"])'
    core = free_cores()[-1]
    bound = job(tmp_path, 'bound', code)
    ticks = []
    run_chains([[bound]], cores=[core], tick=lambda: ticks.append(1))
    assert f'{{{core}}} 1' in bound.log.read_text()
    assert ticks


def test_which_checkpoint_is_tested(tmp_path):
    cfg = {'default_hooks': {'checkpoint': {'save_best': 't2v/Rmean'}}, 'train_cfg': {'max_epochs': 7}}
    assert final_checkpoint(tmp_path, cfg).name == 'epoch_7.pth'
    assert final_checkpoint(tmp_path, {**cfg, 'val_dataloader': {}}).name == 'best_t2v_Rmean.pth'
