import dataclasses
import json
import os
import signal
import threading
import time

import pytest
from command_line import ROOT, run_here

from stgt_mm.analysis.sweep import FIGURES, Sweep, run_sweep
from stgt_mm.analysis.sweep_report import choose_metrics, sweep_table, write_sweep
from stgt_mm.config import load_config, parse_overrides
from stgt_mm.errors import UserError

CONFIG = str(ROOT / 'configs/moving_shapes/stgt_tiny.py')
H = 'model.neck.test_similarity_threshold'
# Quick stand-ins for tools/train.py and tools/test.py: their numbers follow from their options.
OPTIONS = "import json, pathlib, sys\noptions = dict(arg.split('=', 1) for arg in sys.argv if '=' in arg)\n"
TRAIN = """
folder = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
with open(folder.parent / 'trained.txt', 'a') as file:
    file.write(f'{folder.name}\\n')
"""
TEST = """
h = float(options.get('model.neck.test_similarity_threshold', 0.5))
if h == 0.7:
    sys.exit('the reason')
names = ('t2v/R1', 't2v/Rmean', 'v2t/Rmean', 'backwards/accuracy', 'one_fact/turn')
paper = {'key': 'row', 'table': 'Table 2', 't2v': {'Rmean': 49.67}}
result = {'metrics': {name: 100 * h + 1 for name in names}, 'protocol': {}, 'paper': paper}
pathlib.Path(sys.argv[sys.argv.index('--out') + 1]).write_text(json.dumps(result))
"""


@pytest.fixture
def sweep(tmp_path):
    checkpoint = tmp_path / 'weights.pth'
    checkpoint.write_bytes(b'weights')
    tools = tmp_path / 'tools'
    tools.mkdir()
    (tools / 'train.py').write_text(OPTIONS + TRAIN)
    (tools / 'test.py').write_text(OPTIONS + TEST)
    return Sweep(CONFIG, H, ('0.1', '0.3', '0.9'), checkpoint, False, tmp_path / 'out', (), 1, tools)


def test_a_sweep_tests_each_value_once(sweep, capsys):
    points = run_sweep(sweep)
    found = [(point['value'], point['metrics']['t2v/R1']) for point in points]
    assert found == [(0.1, 11), (0.3, 31), (0.9, 91)]
    assert '3 values, 0 done before' in capsys.readouterr().out
    times = {file: file.stat().st_mtime_ns for file in sweep.folder.rglob('results.json')}
    more = dataclasses.replace(sweep, values=('0.1', '0.5', '0.9'))
    assert [point['metrics']['t2v/R1'] for point in run_sweep(more)] == [11, 51, 91]
    assert '3 values, 2 done before' in capsys.readouterr().out
    assert all(file.stat().st_mtime_ns == time for file, time in times.items())
    sweep.checkpoint.write_bytes(b'others')
    run_sweep(more)
    assert '3 values, 0 done before' in capsys.readouterr().out


def test_a_failure_shows_the_end_of_its_log_and_what_is_done_stays_done(sweep, capsys):
    broken = dataclasses.replace(sweep, values=('0.1', '0.7', '0.9'))
    for done in (0, 1):
        with pytest.raises(UserError, match=r'=0\.7 ended with status 1\. The end of (.|\n)*  the reason'):
            run_sweep(broken)
        assert f'3 values, {done} done before' in capsys.readouterr().out
    assert '$ ' in (sweep.point('0.7') / 'test.log').read_text() and not sweep.point('0.9').exists()


def test_an_interruption_stops_the_command(sweep):
    (sweep.tools / 'test.py').write_text('import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(300)')
    log = sweep.point('0.1') / 'test.log'

    def interrupt():
        while not log.is_file() or len(log.read_text().splitlines()) < 2:
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    # a background job of a shell begins with the signal ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(UserError, match='same command goes on'):
            run_sweep(sweep)
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text().splitlines()[1]), 0)
    assert not (sweep.point('0.1') / 'test.json').exists()


def test_a_sweep_is_written_with_the_row_of_the_paper(sweep):
    points = run_sweep(sweep)
    metrics = choose_metrics(points)
    assert metrics == ['t2v/R1', 't2v/Rmean', 'v2t/Rmean']
    lines = sweep_table(sweep, points, metrics).splitlines()
    assert lines[2].split() == ['|', '0.1', '|', '11.00', '|', '11.00', '|', '11.00', '|']
    assert lines[-1].split() == ['|', 'paper', '(Table', '2)', '|', '-', '|', '49.67', '|', '-', '|']
    files = write_sweep(sweep, points, metrics)
    written = json.loads(files[0].read_text())
    assert (written['key'], len(written['points'])) == (H, 3)
    assert files[2].read_bytes()[:8] == b'\x89PNG\r\n\x1a\n'
    with pytest.raises(UserError, match=r"no metric 't2v/R2'\. Did you mean 't2v/R1'"):
        choose_metrics(points, ['t2v/R2'])


def test_a_sweep_with_training_starts_each_from_the_checkpoint(sweep):
    sweep = dataclasses.replace(
        sweep, trains=True, key='model.contrastive_head.csal.gamma', values=('1', '12')
    )
    run_sweep(sweep)
    assert (sweep.folder / 'points/trained.txt').read_text().split() == ['1', '12']
    marker = json.loads((sweep.folder / 'points/12/train.json').read_text())
    assert f'load_from={sweep.checkpoint}' in marker['command']
    assert {'--resume', 'model.contrastive_head.csal.gamma=12'} <= set(marker['command'])
    tested = json.loads((sweep.folder / 'points/12/test.json').read_text())
    assert str(sweep.folder / 'points/12/best_t2v_Rmean.pth') in tested['command']
    run_sweep(sweep)
    assert (sweep.folder / 'points/trained.txt').read_text().split() == ['1', '12']


def test_mistakes_show_before_anything_runs(sweep):
    with pytest.raises(ValueError, match="Did you mean 'test_similarity_threshold'"):
        dataclasses.replace(sweep, key='model.neck.test_similarity_treshold')
    with pytest.raises(UserError, match=r"no checkpoint '.*wights.pth'. Did you mean"):
        dataclasses.replace(sweep, checkpoint=sweep.checkpoint.with_name('wights.pth'))
    with pytest.raises(UserError, match='each once'):
        dataclasses.replace(sweep, values=('1', '1'))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ([], 'give --figure, or --key'),
        (['--figure', '7'], "Did you mean '7"),
        (['--key', H], '--key needs --values'),
        (['--figure', '7b', '--train'], 'a figure knows'),
        (['--figure', '12', '--processes', '0'], '--processes 0'),
    ],
)
def test_options_that_do_not_say_what_to_sweep(options, message, sweep, capsys):
    assert run_here('analysis_tools/sweep.py', CONFIG, sweep.checkpoint, *options) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('figure', FIGURES)
def test_the_keys_of_the_figures_fit_the_configs(figure):
    key, value = FIGURES[figure].key, FIGURES[figure].values[-1]
    configs = [path for path in (ROOT / 'configs').rglob('stgt_tiny*.py') if '_base_' not in path.parts]
    assert len(configs) >= 3
    for path in configs:
        load_config(path, parse_overrides([f'{key}={value}']))


def test_figure_12_is_what_single_tests_give(small_moving_shapes, tmp_path, monkeypatch, capsys):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/moving_shapes').symlink_to(small_moving_shapes)
    monkeypatch.chdir(tmp_path)
    lines = (small_moving_shapes / 'train.jsonl').read_text().splitlines()[:8]
    (small_moving_shapes / 'eight.jsonl').write_text('\n'.join(lines) + '\n')
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    shared = ['test_cfg.choices=None', 'log_level=ERROR', *(f'{name}.num_workers=0' for name in loaders)]
    shared += [f'{name}.persistent_workers=False' for name in loaders]
    train = [
        'train_dataloader.batch_size=8',
        'train_dataloader.dataset.ann_file=data/moving_shapes/eight.jsonl',
    ]
    train += ['train_dataloader.sampler.samples_per_epoch=8', 'train_cfg.val_interval=10']
    named = [f'experiment_name={tmp_path.name}_{part}' for part in ('train', 'test')]
    assert run_here('train.py', CONFIG, '--work-dir', 'run', '--cfg-options', named[0], *shared, *train) == 0
    checkpoint = 'run/best_t2v_Rmean.pth'
    command = ['analysis_tools/sweep.py', CONFIG, checkpoint, '--figure', '12', '--work-dir', 'sweep']
    assert run_here(*command, '--values', '0', '3', '99', '--cfg-options', *shared) == 0
    assert '9 values' not in capsys.readouterr().out
    options = ['--out', 'one.json', '--work-dir', 'one', '--cfg-options', named[1], *shared]
    assert run_here('test.py', CONFIG, checkpoint, *options, 'test_cfg.rerank_k=3') == 0
    one = json.loads((tmp_path / 'one.json').read_text())
    points = json.loads((tmp_path / 'sweep/sweep.json').read_text())['points']
    assert [point['protocol']['rerank_k'] for point in points] == [0, 3, 20]
    assert points[1]['metrics'] == one['metrics']
