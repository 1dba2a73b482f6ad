"""The proof of the GPU paths runs as a whole without a GPU, and a part that fails spoils no other."""

import json
import os
import subprocess
import sys

import gpu_proof.__main__ as proof
import pytest
from command_line import ROOT


@pytest.mark.integration
def test_all_parts_run_at_reduced_size(tmp_path):
    command = ['bash', str(ROOT / 'tools/analysis_tools/gpu_proof.sh')]
    environment = {**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    halves = proof.PARTS[:4], proof.PARTS[4:]  # at the same time, a core each
    runs = []
    for half in halves:
        chosen = [word for part in half for word in ('--part', part)]
        pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True}
        out = str(tmp_path / half[0])
        runs.append(
            subprocess.Popen([*command, out, '--reduced', *chosen], env=environment, cwd=ROOT, **pipes)
        )
    printed = [run.communicate()[0] for run in runs]
    found = {
        part: json.loads((tmp_path / half[0] / f'{part}.json').read_text())
        for half in halves
        for part in half
    }
    ended = {part: content.get('end_of_log') for part, content in found.items() if content['state'] != 'done'}
    assert not any(run.returncode for run in runs) and not ended, f'{printed}{ended}'
    assert all(row[1] == 'passed' for row in found['tests']['tables'][0]['rows'])
    sizes, parts, memory, _, loader = found['step']['tables']
    assert {(row[0], row[1]) for row in sizes['rows']} == {
        (w, b) for w in ('forward', 'training step') for b in (1, 2)
    }
    assert {'backbone', 'neck', 'backward', 'optimizer'} <= {row[0] for row in parts['rows']}
    assert memory['rows'][0][1] > 0 and loader['rows'][0][2] > 0
    errors = {(row[2], row[3]): row[6] for row in found['attention']['tables'][0]['rows']}
    assert set(errors) == {(b, t) for b in ('banded', 'dense') for t in ('float32', 'bfloat16')}
    assert max(error for (_, kind), error in errors.items() if kind == 'float32') < 1e-4
    page = ''.join(path.read_text() for path in tmp_path.glob('*/*-cpu.md'))
    assert all(f'## {part}' in page for part in proof.PARTS) and 'whose figures mean nothing' in page


def test_a_part_that_fails_says_why_and_the_page_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', f'{ROOT}:{tmp_path}')
    package = tmp_path / 'gpu_proof'
    package.mkdir()
    (package / '__init__.py').write_text('')
    (package / 'bad.py').write_text("raise SystemExit('no such luck')")
    (package / 'slow.py').write_text('import time; time.sleep(60)')
    monkeypatch.setattr(proof, 'LIMIT_S', 3)
    monkeypatch.chdir(tmp_path)
    bad, slow = (proof.run_part(part, tmp_path, True) for part in ('bad', 'slow'))
    assert bad['state'] == 'failed with status 1' and bad['end_of_log'] == ['no such luck']
    assert slow['state'] == 'stopped after 3 s'
    page = proof.page([bad, slow], 'A card', 'About.')
    assert '- `bad`: failed with status 1' in page and 'no such luck' in page
