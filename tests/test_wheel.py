"""The wheel holds everything: it is built, installed in a clean environment, and every module imported."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMPORT_ALL = """
import importlib, pkgutil, stgt_mm
assert 'clean' in stgt_mm.__file__, stgt_mm.__file__
names = [m.name for m in pkgutil.walk_packages(stgt_mm.__path__, 'stgt_mm.')]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def run(*command, cwd=None):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.integration
def test_wheel_in_a_clean_environment(tmp_path, monkeypatch):
    monkeypatch.delenv('PYTHONPATH', raising=False)
    source = tmp_path / 'source'  # a copy: a stale build/ of the checkout must not slip into the wheel
    shutil.copytree(ROOT / 'stgt_mm', source / 'stgt_mm', ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copytree(ROOT / 'requirements', source / 'requirements')
    for name in ('setup.py', 'pyproject.toml', 'README.md'):
        shutil.copy(ROOT / name, source)
    run(sys.executable, '-m', 'build', '--wheel', '--no-isolation', '--outdir', tmp_path, source)
    (wheel,) = tmp_path.glob('*.whl')
    names = zipfile.ZipFile(wheel).namelist()
    assert 'stgt_mm/weights/tiny_vit.safetensors' in names
    assert not [name for name in names if name.startswith(('tests/', 'tools/', 'configs/'))]

    clean = tmp_path / 'clean'
    run(sys.executable, '-m', 'venv', clean)
    python = clean / 'bin/python'
    run(python, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', wheel)
    # The dependencies come from this environment; a .pth inside it (the editable install) is not followed.
    (site,) = clean.glob('lib/python*/site-packages')
    (site / 'dependencies.pth').write_text(sysconfig.get_path('purelib') + '\n')
    count = run(python, '-c', IMPORT_ALL, cwd=tmp_path)
    files = [p for p in (ROOT / 'stgt_mm').rglob('*.py') if '__pycache__' not in p.parts]
    assert int(count) == len(files) - 1  # all but stgt_mm itself
