"""The rules of the package: one direction of imports, small files, short functions, no pickle."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'stgt_mm'
MODULES = sorted(PACKAGE.rglob('*.py'))
SOURCES = MODULES + [
    path
    for folder in ('tools', 'demo', 'benchmarks', 'configs')
    for path in sorted((ROOT / folder).rglob('*.py'))
]
TESTS = sorted((ROOT / 'tests').rglob('*.py'))
MAX_FILE_LINES = 300
MAX_BODY_LINES = 50

# what each room may not know of, besides what is above all; in the order of the house, from the ground up
FORBIDDEN = {
    'functional': ['distributed', 'io', 'datasets', 'models', 'evaluation', 'engine', 'jobs'],
    'distributed': ['io', 'datasets', 'models', 'evaluation', 'engine', 'jobs'],
    'io': ['datasets', 'models', 'evaluation', 'engine', 'converters', 'jobs'],
    'jobs': ['io', 'datasets', 'models', 'evaluation', 'engine', 'preparation', 'moving_shapes'],
    'datasets': ['evaluation', 'engine', 'preparation', 'moving_shapes', 'jobs'],
    'models': ['datasets', 'evaluation', 'engine', 'converters', 'jobs'],
    'evaluation': ['models', 'preparation', 'moving_shapes'],
    'engine': ['preparation', 'moving_shapes', 'converters'],
    'preparation': ['models', 'evaluation'],
    'moving_shapes': ['models', 'evaluation', 'engine', 'preparation'],
    'converters': ['models', 'evaluation', 'engine'],
    'search': ['models', 'evaluation', 'engine', 'moving_shapes', 'converters'],
}
ABOVE_ALL = ['analysis', 'apis', 'search']
FOREIGN = {
    'functional': ['mmengine', 'mmcv', 'transformers', 'torch.distributed'],
    'io': ['mmengine'],
    'converters': ['mmengine'],
}


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def imported(path: Path) -> set[str]:
    names = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def body_lines(node: ast.FunctionDef) -> int:
    """Lines of a function without its signature and its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize('layer', FORBIDDEN)
def test_imports_go_one_way(layer):
    assert len(MODULES) > 40, 'there is something to check'
    forbidden = [f'stgt_mm.{room}' for room in FORBIDDEN[layer] + ABOVE_ALL if room != layer]
    forbidden += FOREIGN.get(layer, [])
    wrong = [
        f'{path.relative_to(ROOT)} imports {name}'
        for path in (PACKAGE / layer).rglob('*.py')
        for name in imported(path)
        if any(f'{name}.'.startswith(f'{bad}.') for bad in forbidden)
    ]
    assert not wrong, wrong


def test_files_and_functions_are_small():
    wrong = []
    for path in SOURCES + TESTS:
        lines = len(path.read_text().splitlines())
        if lines > MAX_FILE_LINES:
            wrong.append(f'{path.relative_to(ROOT)}: {lines} lines')
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef) and body_lines(node) > MAX_BODY_LINES:
                wrong.append(f'{path.relative_to(ROOT)}:{node.lineno} {node.name}: {body_lines(node)} lines')
    assert not wrong, wrong


def test_module_docstrings_are_noun_phrases():
    docstrings = {path: ast.get_docstring(ast.parse(path.read_text())) or '' for path in SOURCES}
    first = {path: text.partition(' ')[0] for path, text in docstrings.items()}
    questions = ('What', 'Which', 'Whether', 'Where', 'How')
    assert not [str(path.relative_to(ROOT)) for path, word in first.items() if word in questions]


def test_no_pickle_is_read():
    """torch.load says weights_only=True everywhere; only the reader of plain data imports pickle."""
    admitted = PACKAGE / 'preparation/annotations/plain_pickle.py'
    wrong = []
    for path in SOURCES:
        if path != admitted and {'pickle', 'cPickle', 'dill'} & imported(path):
            wrong.append(f'{path.relative_to(ROOT)} imports pickle')
        for node in nodes(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == 'torch.load':
                options = {option.arg: ast.unparse(option.value) for option in node.keywords}
                if options.get('weights_only') != 'True':
                    wrong.append(f'{path.relative_to(ROOT)}:{node.lineno} torch.load')
    assert not wrong, wrong


def test_no_squeeze_without_a_dimension():
    wrong = [
        f'{path.relative_to(ROOT)}:{node.lineno}'
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.Call) and ast.unparse(node).endswith('.squeeze()')
    ]
    assert not wrong, wrong
