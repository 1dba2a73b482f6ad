import dataclasses
import json
import shutil

import pytest
from command_line import ROOT, run_here
from compare_necks import (
    GRAPH_ROWS,
    PAPER_ROWS,
    _cell,
    collect,
    comparison_text,
    mean_and_spread,
    parse_row,
    write_comparison,
)  # fmt: skip
from comparison import Comparison, Row, run_comparison
from stand_in_tools import make_tools

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.errors import UserError

CONFIG = str(ROOT / 'configs/moving_shapes/stgt_tiny.py')
ROWS = (
    Row('mean pool', ('model.neck.type=MeanPoolNeck',)),
    Row('full'),
    parse_row('two:model.neck.num_layers=2'),
)


@pytest.fixture
def comparison(tmp_path):
    tools = make_tools(tmp_path / 'tools')
    return Comparison(CONFIG, ROWS, (0, 3), 20.0, tmp_path / 'out', (), None, tools)


def test_variants_get_equal_time_and_equal_steps_and_are_not_run_twice(comparison):
    content = collect(comparison, run_comparison(comparison))
    time, steps = content['results']['time'], content['results']['steps']
    assert (
        steps['mean pool']['steps']
        == steps['full']['steps']
        == steps['two']['steps']
        == time['full']['steps']
    )
    assert time['mean pool']['steps'] == pytest.approx(4 * steps['full']['steps'], abs=20)
    planned = content['plan']['seconds']
    for row in time.values():
        assert row['seconds'] == pytest.approx([planned] * 2, abs=10 * 0.04)
    assert time['two']['metrics']['t2v/R1'] == [52.0, 58.0]
    trained = sorted((comparison.folder / 'runs').glob('*/*/train.json'))
    again = collect(comparison, run_comparison(comparison))
    assert again['results'] == content['results']
    shutil.rmtree(trained[0].parent)
    assert collect(comparison, run_comparison(comparison))['results'] == content['results']
    text = comparison_text(content)
    assert '**Equal time: ' in text and '**Equal steps: ' in text
    assert '55.0 ± 3.0' in text and 'turn |' in text
    files = write_comparison(comparison, content)
    assert json.loads(files[0].read_text())['seeds'] == [0, 3]
    assert files[2].read_bytes()[:8] == b'\x89PNG\r\n\x1a\n'
    with pytest.raises(UserError, match='another minutes'):
        run_comparison(dataclasses.replace(comparison, minutes=5.0))


def test_a_row_may_be_another_model(comparison):
    """A dual encoder has a config of its own, is trained as long, and ranks by similarity alone."""
    other = str(ROOT / 'configs/moving_shapes/clip_tiny.py')
    row = parse_row(f'CLIP:{other} optim_wrapper.optimizer.lr=1e-4')
    cfg = load_config(row.config, parse_overrides(comparison.settings(row, 3, 20)))
    assert str(cfg.model.type).endswith('DualEncoder') and cfg.optim_wrapper.optimizer.lr == 1e-4
    assert cfg.train_dataloader.sampler.samples_per_epoch == 20 // comparison.epochs * 64
    ((train, test),) = comparison.chains(row, 20)[:1]
    assert other in train.command and other in test.command
    with pytest.raises(UserError, match='200 epochs, not 10'):
        dataclasses.replace(
            comparison, rows=(parse_row(f'own:{ROOT / "configs/retrieval/custom_clip_tiny.py"}'),)
        )
    metrics = {'t2v/R1': [50.0], 'sim_t2v/R1': [40.0]}
    assert [_cell(metrics, 'sim_t2v/R1'), _cell({'t2v/R1': [30.0]}, 'sim_t2v/R1')] == ['40.0', '30.0']
    assert _cell(metrics, 'backwards/accuracy') == '-'


def test_all_rows_have_the_schedule_of_the_config_and_one_thread(comparison):
    base = load_config(CONFIG)
    csal = Row('full + CSAL', ('+csal',))
    for row in (*ROWS, csal):
        cfg = load_config(CONFIG, parse_overrides(comparison.settings(row, 3, 20)))
        assert (
            cfg.param_scheduler == base.param_scheduler
            and cfg.train_cfg.max_epochs == base.train_cfg.max_epochs
        )
        assert cfg.train_dataloader.sampler.samples_per_epoch == 20 // comparison.epochs * 64
        assert cfg.train_dataloader.num_workers == 0 and cfg.randomness.seed == 3
        own, given = (next(h.stages for h in c.custom_hooks if 'stages' in h) for c in (cfg, base))
        assert [length for length, _ in own] == [length for length, _ in given]
        assert {alpha for _, alpha in own} == ({1.0, 0.0} if row == csal else {1.0})
        assert cfg.test_dataloader.dataset.feature_cache == base.train_dataloader.dataset.feature_cache


@pytest.mark.parametrize('row', [*PAPER_ROWS, *GRAPH_ROWS], ids=lambda row: row.slug)
def test_the_given_rows_fit_the_config(row, comparison):
    load_config(CONFIG, parse_overrides(comparison.settings(row, 0, comparison.epochs)))


def test_rows_of_the_command_line():
    row = parse_row(
        "2 layers, wide: model.neck.num_layers=2 'custom_hooks.1.stages=[(8, 1.0), (2, 0.5)]' +csal"
    )
    assert row.name == '2 layers, wide' and row.slug == '2_layers_wide'
    assert row.options == ('model.neck.num_layers=2', 'custom_hooks.1.stages=[(8, 1.0), (2, 0.5)]', '+csal')
    for text in ('no colon', ':model.neck.band=2', 'name:'):
        with pytest.raises(ValueError, match='write NAME:KEY=VALUE'):
            parse_row(text)


def test_mistakes_show_before_anything_runs(comparison, capsys):
    with pytest.raises(ValueError, match="Did you mean 'num_layers'"):
        dataclasses.replace(comparison, rows=(Row('x', ('model.neck.num_layer=2',)),))
    for change in (
        {'seeds': (1, 1)},
        {'rows': ()},
        {'rows': (ROWS[0], ROWS[0])},
        {'minutes': 0},
        {'probe_steps': 5},
    ):
        with pytest.raises(UserError):
            dataclasses.replace(comparison, **change)
    assert run_here('../benchmarks/compare_necks.py', '--rows', 'papr') == 2
    assert "Did you mean 'paper'" in capsys.readouterr().err


def test_mean_and_spread():
    assert mean_and_spread([50.0, 53.0]) == '51.5 ± 1.5'
    assert mean_and_spread([50.04]) == '50.0'
