"""The proof of the GPU paths runs as a whole without a GPU, and a part that fails spoils no other."""

import json
import os
import runpy
import subprocess
import sys
from functools import partial

import gpu_proof.__main__ as proof
import pytest
from command_line import ROOT


@pytest.mark.integration
def test_all_parts_run_at_reduced_size(small_moving_shapes, tmp_path, monkeypatch):
    by_script = 'rerank'  # in a process of its own, as all of them are when somebody types it
    command = ['bash', str(ROOT / 'tools/analysis_tools/gpu_proof.sh'), str(tmp_path)]
    environment = {**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    command += ['--reduced', '--part', by_script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv('PYTHONPATH', f'{ROOT}:{ROOT / "benchmarks"}')
    monkeypatch.setattr('gpu_proof.losses.make_moving_shapes', partial(link, small_moving_shapes))
    files = {part: tmp_path / f'{part}.json' for part in proof.PARTS}
    for part in proof.PARTS:
        if part == by_script:
            continue
        monkeypatch.setattr(sys, 'argv', ['a part', str(files[part]), '--reduced'])
        runpy.run_module(f'gpu_proof.{part}', run_name='__main__', alter_sys=True)
    found = {part: json.loads(file.read_text()) for part, file in files.items()}
    assert found[by_script]['state'] == 'done'
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
    found_flex = {
        row[1]: row[6] for row in found['flex']['tables'][0]['rows'] if row[2:4] == ['flex', 'float32']
    }
    assert list(found_flex) == ['forward'] and found_flex['forward'] < 1e-4  # no gradient on a CPU
    (page,) = tmp_path.glob('*-cpu.md')
    assert f'## {by_script}' in page.read_text() and 'whose figures mean nothing' in page.read_text()
    told = {'state': 'done', 'seconds': 1.0}
    page = proof.page([{'part': part, **content, **told} for part, content in found.items()], 'All', 'About.')
    assert all(f'## {part}\n\n**' in page for part in proof.PARTS)


def link(data, setting, clips):
    (setting.folder / 'moving_shapes').symlink_to(data)


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
