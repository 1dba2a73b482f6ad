"""The examples in docstrings run and print what they say; each module of functional code has one."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ['functional', 'models/layers', 'models/necks']
MODULES = [
    str(path.relative_to(ROOT).with_suffix('')).replace('/', '.')
    for room in ROOMS
    for path in sorted((ROOT / 'stgt_mm' / room).glob('*.py'))
    if path.stem != '__init__'
]


@pytest.mark.parametrize('name', MODULES)
def test_examples_print_what_they_say(name):
    module = importlib.import_module(name)
    tests = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    report = []
    for test in tests:
        assert not doctest.DocTestRunner().run(test, out=report.append).failed, ''.join(report)
    assert tests or not name.startswith('stgt_mm.functional.'), f'{name} has no Example:'
