import re
from pathlib import Path

README = Path(__file__).parents[1] / 'README.md'


def test_the_python_example_of_the_readme_prints_what_it_says(capsys):
    (example,) = re.findall(r'^```python\n(.*?)^```', README.read_text(), re.M | re.S)
    exec(compile(example, str(README), 'exec'), {})
    printed = capsys.readouterr().out.split('[')[1].split(']')[0]
    assert f'({printed})' in example
