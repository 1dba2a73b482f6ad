"""Installs stgt_mm; dependencies are listed, with a reason each, in requirements/."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """Reads requirements/NAME.txt without its comments.

    Args:
        name: Stem of the file.

    Returns:
        One requirement an entry.
    """
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


setup(
    name='stgt_mm',
    version=re.search(r"__version__ = '(.+)'", (ROOT / 'stgt_mm/version.py').read_text()).group(1),
    description='Align video with language: the STGT toolbox',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['stgt_mm', 'stgt_mm.*']),
    package_data={'stgt_mm': ['weights/*.safetensors', 'weights/*.json', 'evaluation/*.json']},
    install_requires=requirements('runtime'),
    extras_require={'tests': requirements('tests')},
)
