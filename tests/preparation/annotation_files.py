"""What the tests of the converters share: real files where they are, and conversion without a command."""

import json
import os
from pathlib import Path

import pytest

from stgt_mm.preparation.annotations.conversion import choose_splits
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.video_files import VideoFiles

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get('STGT_SHARED_DATA', ROOT.parent / 'shared' / 'data')) / 'annotations'


def needs_real(name):
    return pytest.mark.skipif(
        not (SHARED / name).is_dir(),
        reason=f'REAL ANNOTATIONS NOT TESTED: no {SHARED / name}; STGT_SHARED_DATA names the folder',
    )


def read(data_set, source, wanted=None, root=None, suffix=None):
    """Records of each split, the notes, and the video files."""
    notes, files = Notes(), VideoFiles(root, suffix or data_set.SUFFIX)
    chosen = choose_splits(source, data_set.NEEDS, wanted, notes)
    return data_set.read_splits(chosen, files, notes), notes, files


def put(path, content):
    """Writes bytes, text or, anything else, JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, (bytes, str)):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
