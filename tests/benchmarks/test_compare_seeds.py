import json
import math

import pytest
from command_line import ROOT
from compare_necks import parse_row
from compare_seeds import bootstrap_interval, run_seeds, seeds_table, whole_length, with_interval
from comparison import Comparison, Row
from stand_in_tools import make_tools

from stgt_mm.errors import UserError

CONFIG = str(ROOT / 'configs/moving_shapes/stgt_tiny.py')


def test_the_interval_covers_the_mean_and_narrows_with_seeds():
    assert bootstrap_interval([90.0, 94.0]) == (90.0, 94.0)
    # the standard error of 16 seeds is 2 / sqrt(16), the interval 1.96 of them on each side
    assert bootstrap_interval([90.0, 94.0] * 8) == pytest.approx((92 - 0.98, 92 + 0.98), abs=0.15)
    assert bootstrap_interval([5.0]) == (-math.inf, math.inf)
    assert with_interval([5.0]) == '5.0' and with_interval([5.0, 5.0]) == '5.0 [5.0, 5.0]'


def test_differences_are_taken_seed_by_seed():
    """Rows that differ by the same amount in every seed are told apart, however far the seeds are."""
    first = [{'r': 50.0}, {'r': 70.0}]
    table = seeds_table({'a': first, 'b': [{'r': 52.0}, {'r': 72.0}]}, ['r'])
    assert '-2.0 [-2.0, -2.0]' in table and '60.0 [50.0, 70.0]' in table


def test_seeds_run_at_the_length_of_the_config_and_only_once(tmp_path, capsys):
    tools = make_tools(tmp_path / 'tools')
    rows = (Row('one'), parse_row('two:model.neck.num_layers=2'))
    options = ('train_dataloader.sampler.samples_per_epoch=128',)
    given = (CONFIG, rows, (0, 3), math.inf, tmp_path / 'out', options, None, tools)
    comparison = Comparison(*given)
    assert whole_length(comparison) == 20
    run_seeds(comparison, ['t2v/R1'])
    assert '54.0 [51.0, 57.0]' in capsys.readouterr().out
    content = json.loads((tmp_path / 'out/seeds.json').read_text())
    assert [own['t2v/R1'] for own in content['results']['two']] == [52.0, 58.0]
    with pytest.raises(UserError, match=r"metrics t2v/R11: .*results.json has none. Did you mean 't2v/R1'"):
        run_seeds(comparison, ['t2v/R1', 't2v/R11'])
    with pytest.raises(UserError, match='another config and options'):
        run_seeds(Comparison(*given[:5], ('train_cfg.val_interval=5',), *given[6:]), ['t2v/R1'])
    trained = (tmp_path / 'out/runs/one/trained.txt').read_text().split()
    assert trained == ['20_steps_seed_0', '20_steps_seed_3']
