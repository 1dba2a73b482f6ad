"""MSVD: many captions a clip; 1,200 / 100 / 670 clips.

Source: Chen and Dolan, "Collecting Highly Parallel Data for Paraphrase Evaluation" (ACL 2011).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.common import Notes, bar
from stgt_mm.preparation.annotations.plain_pickle import read_plain_pickle
from stgt_mm.preparation.annotations.reading import decode, read_json, read_list
from stgt_mm.preparation.annotations.splits import UNCAPTIONED, Records, caption_records, choose_splits
from stgt_mm.preparation.annotations.video_files import VideoFiles

SUFFIX = '.avi'
CAPTIONS = ('captions_msvd.json', 'raw-captions.pkl')
NEEDS = {split: ((f'{split}_list.txt',), CAPTIONS) for split in ('train', 'val', 'test')}
PUBLISHED = {'train': 1200, 'val': 100, 'test': 670}


def read_captions(path: str | Path, notes: Notes) -> dict[str, list[str]]:
    """Reads the captions of all clips.

    Args:
        path: JSON or pickle (read by :func:`~stgt_mm.preparation.annotations.plain_pickle.read_plain_pickle`)
            of ``{clip_id: [caption, ...]}``, a caption being a text or a list of words.
        notes: Gets the texts that are not UTF-8.

    Returns:
        For each clip its captions in file order.

    Raises:
        AnnotationError: If it is not such an object.
    """
    path = Path(path)
    content = read_plain_pickle(path) if path.suffix == '.pkl' else read_json(path, dict)
    if not isinstance(content, dict):
        raise AnnotationError(f'{path}: holds {type(content).__name__}, {{clip_id: captions}} was expected.')
    captions = {}
    for key, texts in bar(content.items(), path.name):
        clip = _text(key, f'{path}, a clip id', notes)
        if not isinstance(texts, list):
            raise AnnotationError(f'{path}, {clip}: {str(texts)[:80]!r} is not a list of captions.')
        captions[clip] = [_caption(text, f'{path}, {clip}[{n}]', notes) for n, text in enumerate(texts)]
    return captions


def _caption(value: Any, where: str, notes: Notes) -> str:
    words = value if isinstance(value, (list, tuple)) else [value]
    return ' '.join(_text(word, where, notes) for word in words)


def _text(value: Any, where: str, notes: Notes) -> str:
    if isinstance(value, bytes):  # a text of Python 2
        return decode(value, where, notes)
    if not isinstance(value, str):
        raise AnnotationError(f'{where}: {value!r} is not a text. Correct the file, or fetch it again.')
    return value


def read_splits(
    source: str | Path, wanted: Sequence[str] | None, files: VideoFiles, notes: Notes
) -> dict[str, Records]:
    """Reads the annotation files of MSVD.

    Args:
        source: Folder with the captions (one of :data:`CAPTIONS`) and the lists ``<split>_list.txt``.
        wanted: ``train``, ``val``, ``test``; None for all that the files allow.
        files: Where the videos are.
        notes: What was met on the way.

    Returns:
        Records of each split.
    """
    chosen = choose_splits(source, NEEDS, wanted, notes)
    captions = read_captions(next(iter(chosen.values()))[1], notes)
    splits: dict[str, Records] = {}
    for split, (clips, _) in chosen.items():
        splits[split] = []
        for clip, line in read_list(clips).items():
            if not captions.get(clip):
                notes.add(UNCAPTIONED, f'{clip} ({clips}:{line})')
                continue
            splits[split].extend(caption_records(files.path_of(clip), clip, captions[clip], notes))
    return splits
