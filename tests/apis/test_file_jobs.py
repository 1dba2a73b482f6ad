"""Files encoded by processes of their own, here or on two Ray workers: as by the model of this process."""

import json
import os
import shutil
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import run_here
from ray_cluster import two_workers
from trained_aligner import Trained

from stgt_mm.apis.base import clip_pipeline
from stgt_mm.apis.features import FeatureJob, mean_tokens
from stgt_mm.apis.file_jobs import MomentJob, run_files
from stgt_mm.apis.moments import MomentStream, encode_files
from stgt_mm.errors import UserError
from stgt_mm.jobs import Engine
from stgt_mm.jobs.timed_pool import Outcome

pytest.importorskip('lancedb')
WINDOWS = {'window_s': 1.0, 'stride_s': 0.5}
EXTRACT = 'analysis_tools/extract_features.py'


@dataclass(frozen=True)
class KilledOnce(MomentJob):
    """A job that ends the process that started its own, the first time."""

    flag: str = ''

    def encode(self, model, batch, amp):
        if not os.path.exists(self.flag):
            open(self.flag, 'w').close()
            os.kill(os.getppid(), signal.SIGKILL)
        yield from super().encode(model, batch, amp)


@pytest.fixture(scope='module')
def trained(small_moving_shapes, tmp_path_factory):
    return Trained(small_moving_shapes, tmp_path_factory.mktemp('trained'))


@pytest.fixture(scope='module')
def clips(small_moving_shapes, tmp_path_factory):
    folder = tmp_path_factory.mktemp('clips')
    for number in range(4):
        shutil.copy(small_moving_shapes / f'videos/video{number}.mp4', folder)
    (folder / 'damaged.mp4').write_bytes(b'no video')
    return folder


@pytest.fixture(scope='module')
def cluster():
    with two_workers():
        yield


def indexed(trained, clips, **options):
    """What is done, and what is then found."""
    retriever = trained.retriever(**WINDOWS, **options)
    report = retriever.index(clips)
    hits = [hit for query in ('a red circle', 'up') for hit in retriever.search(query, 9, group_by='moment')]
    assert {hit.tokens is None for hit in hits} == {not options.get('keep_tokens', True)}
    return (report.encoded, report.moments, report.broken), hits


def check_same(found, wanted):
    assert found[0] == wanted[0] and found[0][:2] == (4, 12) and len(found[1]) == len(wanted[1]) == 18
    for own, other in zip(found[1], wanted[1]):
        assert own[:3] == other[:3]
        assert own[3:5] == pytest.approx(other[3:5], abs=1e-6)


def test_two_processes_make_the_index_of_one(trained, clips):
    wanted = indexed(trained, clips, keep_tokens=False)
    check_same(indexed(trained, clips, keep_tokens=False, engine=Engine('local', 2)), wanted)


def test_a_job_makes_the_rows_of_the_process_itself(trained, clips):
    paths = sorted(map(str, clips.iterdir()))
    job = FeatureJob(trained.cfg.pretty_text, trained.checkpoint, (1.0, 0.5), 3, None)
    stream = MomentStream(clip_pipeline(trained.cfg), paths, job.windows)
    wanted = dict(encode_files(trained.model.eval(), stream, 3, 0, None, mean_tokens))
    for number, path in enumerate(paths):
        found = job(path)
        if isinstance(found, str):
            assert found == wanted[number] and 'damaged' in path
            continue
        assert [span for span, _ in found] == [span for span, _ in wanted[number]]
        for (_, row), (_, other) in zip(found, wanted[number], strict=True):
            np.testing.assert_allclose(row, other, atol=1e-6)
    bare = MomentJob(job.config, job.checkpoint, None, 3, None, keep_tokens=False)
    assert [row[3] for row in bare(paths[1])] == [None]


def test_what_becomes_of_a_file(trained):
    job = FeatureJob('', None, None, 1, None)
    outcomes = {'a': Outcome('crashed', 'SIGSEGV'), 'b': Outcome('timed_out', 'nothing after 9 s')}
    pool = SimpleNamespace(run=lambda _: ((path, own) for path, own in outcomes.items()))
    asked = []
    engine = SimpleNamespace(jobs=2, gpus=0.5, pool=lambda own, at_once: asked.append((own, at_once)) or pool)
    assert list(run_files(engine, job, ['b', 'x', 'a'])) == [(2, 'SIGSEGV'), (0, 'nothing after 9 s')]
    assert [(own.device, at_once) for own, at_once in asked] == [('cuda', 2)]
    outcomes['x'] = Outcome('failed', 'ValueError: 3 of 96 features are NaN')
    with pytest.raises(UserError, match='x: ValueError: 3 of 96'):
        list(run_files(engine, job, ['b', 'x', 'a']))


def test_options_of_ray_are_for_ray(capsys):
    extract = (EXTRACT, 'c.py', 'c.pth', 'videos', 'out', '--window-s', 1)
    search = ('../demo/search.py', '--query', 'x', '--index', 'i')
    for command in (extract, search):
        assert run_here(*command, '--jobs', 2) == 2
        assert "{'jobs': 2}: --jobs, --time-limit" in capsys.readouterr().err
    for command, words in (
        ((*extract, '--num-workers', 1), '--jobs and --gpus-per-job for ray'),
        ((*extract, '--device', 'cpu'), '--num-workers and --device are for --engine local'),
        (search, 'give these'),
    ):
        with pytest.raises(SystemExit):
            run_here(*command, '--engine', 'ray')
        assert words in capsys.readouterr().err
    for wrong in ({'gpus': 0.5}, {'kind': 'ray', 'gpus': 2.0}):
        with pytest.raises(ValueError, match='--gpus-per-job'):
            Engine(**wrong)


def test_ray_makes_the_same_index_and_a_killed_worker_loses_nothing(
    trained, clips, cluster, tmp_path, monkeypatch
):
    flag = tmp_path / 'killed'
    monkeypatch.setattr('stgt_mm.apis.retriever.MomentJob', partial(KilledOnce, flag=str(flag)))
    check_same(indexed(trained, clips, engine=Engine('ray', 2)), indexed(trained, clips))
    assert flag.exists()


def test_ray_makes_the_same_features(trained, clips, cluster, tmp_path, monkeypatch, capsys):
    checkpoint = Path(trained.checkpoint)
    monkeypatch.chdir(checkpoint.parent)  # where no worker was started
    printed = {}
    for kind in ('local', 'ray', 'ray'):
        more = ('--jobs', 2) if kind == 'ray' else ('--num-workers', 0, '--device', 'cpu')
        files = (trained.config, checkpoint.name, clips, tmp_path / kind)
        assert run_here(EXTRACT, *files, '--window-s', 1, '--stride-s', 0.5, '--engine', kind, *more) == 0
        printed.setdefault(kind, []).append(capsys.readouterr().out.replace(str(tmp_path / kind), 'OUT'))
    assert printed['ray'][0] == printed['local'][0] and '4 videos written' in printed['ray'][0]
    assert '0 videos written, 4 were there' in printed['ray'][1]
    for number in range(4):
        about, other = (json.loads((tmp_path / f'{k}/video{number}.json').read_text()) for k in printed)
        assert about == other
        rows, own = (np.load(tmp_path / f'{kind}/video{number}.npy') for kind in printed)
        np.testing.assert_allclose(own, rows, atol=1e-6)
