"""The rules of the package: one direction of imports, small files, short functions, no pickle."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'stgt_mm'
MODULES = sorted(PACKAGE.rglob('*.py'))
SOURCES = MODULES + [
    path for folder in ('tools', 'benchmarks', 'configs') for path in sorted((ROOT / folder).rglob('*.py'))
]
TESTS = sorted((ROOT / 'tests').rglob('*.py'))
MAX_FILE_LINES = 300
MAX_BODY_LINES = 50

# what each room may not know of; the order of the list is that of the house, from the ground up
FORBIDDEN = {
    'functional': (
        'mmengine',
        'mmcv',
        'transformers',
        'torch.distributed',
        'stgt_mm.distributed',
        'stgt_mm.io',
        'stgt_mm.datasets',
        'stgt_mm.models',
        'stgt_mm.evaluation',
        'stgt_mm.engine',
    ),
    'distributed': (
        'stgt_mm.io',
        'stgt_mm.datasets',
        'stgt_mm.models',
        'stgt_mm.evaluation',
        'stgt_mm.engine',
    ),
    'io': (
        'mmengine',
        'stgt_mm.datasets',
        'stgt_mm.models',
        'stgt_mm.evaluation',
        'stgt_mm.engine',
        'stgt_mm.converters',
    ),
    'datasets': ('stgt_mm.evaluation', 'stgt_mm.engine', 'stgt_mm.preparation', 'stgt_mm.moving_shapes'),
    'models': ('stgt_mm.datasets', 'stgt_mm.evaluation', 'stgt_mm.engine', 'stgt_mm.converters'),
    'evaluation': ('stgt_mm.models', 'stgt_mm.preparation', 'stgt_mm.moving_shapes'),
    'engine': ('stgt_mm.preparation', 'stgt_mm.moving_shapes', 'stgt_mm.converters'),
    'preparation': ('stgt_mm.models', 'stgt_mm.evaluation'),
    'moving_shapes': ('stgt_mm.models', 'stgt_mm.evaluation', 'stgt_mm.engine', 'stgt_mm.preparation'),
    'converters': ('stgt_mm.models', 'stgt_mm.evaluation', 'stgt_mm.engine', 'mmengine'),
}
ABOVE_ALL = ('stgt_mm.analysis', 'stgt_mm.apis')
FORBIDDEN = {room: names + ABOVE_ALL for room, names in FORBIDDEN.items()}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def body_lines(node: ast.FunctionDef) -> int:
    """Lines of a function without its signature and its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_there_is_something_to_check():
    assert len(MODULES) > 40


@pytest.mark.parametrize('layer', FORBIDDEN)
def test_imports_go_one_way(layer):
    wrong = [
        f'{path.relative_to(ROOT)} imports {name}'
        for path in (PACKAGE / layer).rglob('*.py')
        for name in imported(path)
        if any((name + '.').startswith(bad.rstrip('.') + '.') for bad in FORBIDDEN[layer])
    ]
    assert not wrong, wrong


def test_files_and_functions_are_small():
    wrong = []
    for path in SOURCES + TESTS:
        lines = len(path.read_text().splitlines())
        if lines > MAX_FILE_LINES:
            wrong.append(f'{path.relative_to(ROOT)}: {lines} lines')
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and body_lines(node) > MAX_BODY_LINES:
                wrong.append(f'{path.relative_to(ROOT)}:{node.lineno} {node.name}: {body_lines(node)} lines')
    assert not wrong, wrong


def test_no_pickle_is_read():
    """torch.load says weights_only=True everywhere; only the reader of plain data imports pickle."""
    admitted = PACKAGE / 'preparation/annotations/plain_pickle.py'
    wrong = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        if path != admitted and {'pickle', 'cPickle', 'dill'} & imported(path):
            wrong.append(f'{path.relative_to(ROOT)} imports pickle')
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == 'torch.load':
                safe = any(
                    k.arg == 'weights_only' and getattr(k.value, 'value', 0) is True for k in node.keywords
                )
                if not safe:
                    wrong.append(f'{path.relative_to(ROOT)}:{node.lineno} torch.load')
    assert not wrong, wrong


def test_no_squeeze_without_a_dimension():
    wrong = [
        f'{path.relative_to(ROOT)}:{node.lineno}'
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == 'squeeze'
        and not node.args
        and not node.keywords
    ]
    assert not wrong, wrong
