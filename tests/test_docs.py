"""The documentation names what exists: paths, options of the tools, links."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
# a path of the repository; not the middle of another path, of a URL or of package://
PATH = re.compile(r'(?<![\w./-])(?:tools|demo|benchmarks|configs|docs|stgt_mm|tests|requirements)/[\w./-]*\w')
COMMAND = re.compile(r'(?:python|bash) ((?:tools|demo|benchmarks)/[\w/]+\.(?:py|sh))([^\n`|;]*)')
FLAG = re.compile(r'(?<![\w-])--[a-z][\w-]*')
# the tool behind a script; None takes anything (pytest's options)
SCRIPTS = {
    'tools/quickstart.sh': 'tools/quickstart.py',
    'tools/dist_train.sh': 'tools/train.py',
    'tools/dist_test.sh': 'tools/test.py',
    'tools/slurm_train.sh': 'tools/train.py',
    'tools/slurm_test.sh': 'tools/test.py',
    'tools/run_tests.sh': None,
    'tools/analysis_tools/gpu_proof.sh': 'benchmarks/gpu_proof/__main__.py',
}


def code(text):
    """Fenced blocks and spans between backticks; continued lines are joined."""
    blocks = re.findall(r'^```\w*\n(.*?)^```', text, re.M | re.S)
    spans = re.findall(r'`([^`\n]+)`', re.sub(r'^```.*?^```', '', text, flags=re.M | re.S))
    return '\n'.join(blocks + spans).replace('\\\n', ' ')


SHARED = {
    node.name: node
    for name in ('engine/cli', 'jobs/options', 'preparation/command_line')
    for node in ast.parse((ROOT / f'stgt_mm/{name}.py').read_text()).body
    if isinstance(node, ast.FunctionDef)
}


def options_in(tree, seen=frozenset()):
    """Options that code names itself or through the shared functions of the command line."""
    names = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    found = {name for name in names if isinstance(name, str) and FLAG.fullmatch(name)}
    called = {getattr(node.func, 'id', '') for node in ast.walk(tree) if isinstance(node, ast.Call)}
    parts = [options_in(SHARED[name], seen | called) for name in (called & SHARED.keys()) - seen]
    return found.union(*parts)


def options_of(tool):
    return options_in(ast.parse((ROOT / tool).read_text())) | {'--help'}


def unknown_options(text):
    wrong = []
    for tool, rest in COMMAND.findall(code(text)):
        target = SCRIPTS.get(tool, tool)
        if target is not None and (ROOT / target).is_file():
            wrong += [f'{tool} {flag}' for flag in FLAG.findall(rest) if flag not in options_of(target)]
    return wrong


def missing_paths(text):
    return sorted({path for path in PATH.findall(code(text)) if not (ROOT / path).exists()})


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_paths_options_and_links_exist(page):
    text = page.read_text()
    assert missing_paths(text) == []
    assert unknown_options(text) == []
    wrong = []
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        if re.match(r'https?:|mailto:', target):
            continue
        name, _, anchor = target.partition('#')
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in headings(file.read_text())):
            wrong.append(target)
    assert wrong == []


def headings(text):
    titles = re.findall(r'^#+ (.+)$', text, re.M)
    return {re.sub(r'[^\w -]', '', title.lower()).replace(' ', '-') for title in titles}


def test_mistakes_are_found():
    page = '`tools/nothing.py`\n```\npython tools/test.py CONFIG \\\n    --ouch x --out y\n```\n'
    assert missing_paths(page) == ['tools/nothing.py']
    assert unknown_options(page) == ['tools/test.py --ouch']
    assert missing_paths('`package://stgt_mm/no` and `data/docs/no`') == []
