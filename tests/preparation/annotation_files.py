"""What the tests of the converters share: real files where they are, and conversion without a command."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.conversion import choose_splits
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.video_files import VideoFiles

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get('STGT_SHARED_DATA', ROOT.parent / 'shared' / 'data'))
SHARED = DATA / 'annotations'
needs_real_videos = pytest.mark.skipif(
    not (DATA / 'videos.json').is_file(),
    reason=f'REAL VIDEOS NOT TESTED: no {DATA}/videos.json; STGT_SHARED_DATA names the folder',
)


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


def refuses(words, function, *arguments, error=AnnotationError, **options):
    """Calls what must fail, with a message that has all words."""
    with pytest.raises(error) as caught:
        function(*arguments, **options)
    for word in [words] if isinstance(words, str) else words:
        assert str(word) in str(caught.value)
    return str(caught.value)


def peak_memory(function):
    """Bytes of Python objects that a call holds at most."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def put(path, content):
    """Writes bytes, text or, anything else, JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, (bytes, str)):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
