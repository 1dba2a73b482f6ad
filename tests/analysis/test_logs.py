import json

import pytest
from command_line import run_here

from stgt_mm.analysis.logs import best_validation, choose_keys, curves_of, load_runs, step_times
from stgt_mm.analysis.tables import markdown_table
from stgt_mm.errors import UserError


def write_run(folder, shift=0.0, with_times=True):
    folder.mkdir(parents=True)
    seconds = [9.0, 1.0, 2.0, 5.0, 3.0]
    lines = []
    for step, time in enumerate(seconds, 1):
        times = {'time': time, 'data_time': time / 4, 'cpu_time': time / 2} if with_times else {}
        lines.append({'step': step, 'epoch': 1 + step // 4, 'loss': step + shift, **times})
    lines.insert(3, {'step': 3, 'epoch': 1, 'val/t2v/Rmean': 50.0 + shift, 'val/t2v/MnR': 3.0})
    lines.append({'step': 5, 'epoch': 2, 'val/t2v/Rmean': 40.0 + shift, 'val/t2v/MnR': 2.0})
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (folder / 'metrics.jsonl').write_text(text + '{"step": 6, "lo')
    return folder


def test_curves_of_two_runs_lie_over_each_other(tmp_path):
    runs = load_runs([write_run(tmp_path / 'x/run'), write_run(tmp_path / 'y/run', 10.0)])
    assert [run.name for run in runs] == ['x/run', 'y/run']
    assert curves_of(runs, 'loss') == {
        'x/run': ([1, 2, 3, 4, 5], [1.0, 2.0, 3.0, 4.0, 5.0]),
        'y/run': ([1, 2, 3, 4, 5], [11.0, 12.0, 13.0, 14.0, 15.0]),
    }
    assert curves_of(runs, 'loss', window=2)['x/run'][1] == [1.0, 1.5, 2.5, 3.5, 4.5]
    assert curves_of(runs, 't2v/Rmean', window=2)['x/run'] == ([3, 5], [50.0, 40.0])
    assert choose_keys(runs) == ['loss', 't2v/Rmean']
    assert choose_keys(runs, ['val/t2v/MnR']) == ['t2v/MnR']


def test_times_of_the_steps(tmp_path):
    run = load_runs([write_run(tmp_path / 'run')])[0]
    times = step_times(run.records)
    assert (times.steps, times.mean, times.median, times.total) == (5, 4.0, 3.0, 20.0)
    assert (times.slowest, times.slowest_step, times.data_share) == (9.0, 1, 25.0)
    rest = step_times(run.records, skip=1)
    assert (rest.steps, rest.mean, rest.median, rest.slowest_step) == (4, 2.75, 2.5, 4)
    cpu = step_times(run.records, clock='cpu_time')
    assert (cpu.total, cpu.slowest, cpu.data_share) == (10.0, 4.5, 25.0)
    assert step_times(load_runs([write_run(tmp_path / 'old', with_times=False)])[0].records) is None


def test_best_validation_knows_what_is_better(tmp_path):
    run = load_runs([write_run(tmp_path / 'run')])[0]
    assert best_validation(run, 't2v/Rmean') == (1, 3, 50.0)
    assert best_validation(run, 't2v/MnR') == (2, 5, 2.0)
    assert best_validation(run, 'loss') is None


def test_what_is_not_there_is_named(tmp_path):
    run = write_run(tmp_path / 'runs/one')
    with pytest.raises(UserError, match=r'Did you mean .*runs/one'):
        load_runs([tmp_path / 'runs/onee'])
    with pytest.raises(UserError, match=r'runs below it: .*runs/one'):
        load_runs([tmp_path / 'runs'])
    with pytest.raises(UserError, match="Did you mean 't2v/Rmean'"):
        choose_keys(load_runs([run]), ['val/t2v/Rmeen'])
    with pytest.raises(ValueError, match='2 names for 1 runs'):
        load_runs([run], ['a', 'b'])
    (run / 'metrics.jsonl').write_text('{"st')
    with pytest.raises(UserError, match='no whole line'):
        load_runs([run])


def test_the_tool_prints_tables_and_draws(tmp_path, capsys):
    folders = [write_run(tmp_path / 'a'), write_run(tmp_path / 'b', 1.0, with_times=False)]
    out = tmp_path / 'pictures/curves.png'
    assert run_here('analysis_tools/analyze_logs.py', *folders, '--out', out) == 0
    printed = capsys.readouterr().out
    assert '| a   |     5 |  4.000 |    3.000 |     9.000 |       1 |   25.0 |       0.3 |' in printed
    assert '| b   |     5 |      - |' in printed
    assert out.read_bytes()[:8] == b'\x89PNG\r\n\x1a\n' and out.stat().st_size > 5000
    assert run_here('analysis_tools/analyze_logs.py', *folders, '--keys', 'los') == 2
    assert "Did you mean 'loss'" in capsys.readouterr().err
    assert run_here('analysis_tools/analyze_logs.py', *folders, '--out', 'c.jpg') == 2
    assert "call it 'c.png'" in capsys.readouterr().err


def test_a_table_is_markdown_and_aligned():
    text = markdown_table(['neck', 'R'], [['a|b', 1.5], ['long name', None]])
    assert text.splitlines() == [
        '| neck      |   R |',
        '| --------- | --: |',
        '| a\\|b      | 1.5 |',
        '| long name |   - |',
    ]
    with pytest.raises(ValueError, match='2 columns'):
        markdown_table(['a', 'b'], [[1]])
