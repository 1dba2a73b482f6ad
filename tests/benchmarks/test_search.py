"""The measurement of the index runs, agrees with the scan and finds what it says."""

import json

import benchmark_search
import pytest


def test_a_small_index_is_measured(tmp_path):
    pytest.importorskip('lancedb')
    out = tmp_path / 'figures.json'
    sizes = ['--videos', '60', '--queries', '8', '--width', '8', '--texts', '3', '--k', '5', '--lance']
    benchmark_search.main([*sizes, '--out', str(out), '--folder', str(tmp_path)])
    figures = json.loads(out.read_text())
    assert figures['exact agrees'] == 1 and figures['recall found'] >= 0.9
    assert all(value > 0 for name, value in figures.items() if name.endswith((' ms', ' s')))
    assert [path.name for path in tmp_path.iterdir()] == ['figures.json']
