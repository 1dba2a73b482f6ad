import json

import pytest

from stgt_mm.visualization.curves import plot_curves, plot_panels, plot_run, read_scalars, running_mean


def write_log(path):
    rows = [{'loss': 4.0 - i / 10, 'loss_vtc': 2.0, 'lr': 0.1, 'step': i} for i in range(5)]
    rows += [{'loss': 1.0, 'step': 4}, {'t2v/Rmean': 40.0, 'step': 1}, {'val/t2v/Rmean': 60.0, 'step': 2}]
    path.write_text('\n'.join(json.dumps(row) for row in rows) + '\n{"loss": 3.')


def test_scalars_are_read_in_order_and_a_repeated_step_counts_once(tmp_path):
    write_log(tmp_path / 'scalars.json')
    logged = read_scalars(tmp_path / 'scalars.json')
    assert logged['loss'] == ([0, 1, 2, 3, 4], [4.0, 3.9, 3.8, 3.7, 1.0])
    assert logged['t2v/Rmean'] == ([1, 2], [40.0, 60.0])
    assert running_mean([4.0, 2.0, 6.0, 0.0], 2) == [4.0, 3.0, 4.0, 3.0]


def test_runs_and_panels_are_drawn(tmp_path):
    write_log(tmp_path / 'scalars.json')
    files = plot_run(tmp_path / 'scalars.json', tmp_path / 'plots')
    assert [file.name for file in files] == ['loss.png', 'recall.png']
    panels = {
        'loss': {'a': ([0, 1], [2.0, 1.0]), 'b': ([0, 1], [3.0, 1.0])},
        'R1': {'b': ([0, 1], [5.0, 9.0])},
    }
    files.append(plot_panels(panels, tmp_path / 'new/p.png', 'k', {0.0: 'none', 1.0: 'all'}))
    for file in files:
        assert file.read_bytes()[:8] == b'\x89PNG\r\n\x1a\n' and file.stat().st_size > 5000


def test_what_cannot_be_drawn_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='every panel needs one'):
        plot_panels({'loss': {}}, tmp_path / 'p.png')
    with pytest.raises(ValueError, match=r"call it '.*p\.png'"):
        plot_panels({'loss': {'b': ([0, 1], [5.0, 9.0])}}, tmp_path / 'p.pdf')
    with pytest.raises(ValueError, match='no curve'):
        plot_curves({}, tmp_path / 'x.png')
    with pytest.raises(ValueError, match="'loss' has 2 x values and 1 y"):
        plot_curves({'loss': ([0, 1], [1.0])}, tmp_path / 'x.png')
