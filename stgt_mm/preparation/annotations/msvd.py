"""MSVD: many captions a clip; 1,200 / 100 / 670 clips.

Source: Chen and Dolan, "Collecting Highly Parallel Data for Paraphrase Evaluation" (ACL 2011).
"""

from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.captions import Records, listed_records
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.plain_pickle import read_plain_pickle
from stgt_mm.preparation.annotations.reading import decode, read_json, read_list
from stgt_mm.preparation.annotations.video_files import VideoFiles
from stgt_mm.progress import track

SUFFIX = '.avi'
CAPTIONS = ('captions_msvd.json', 'raw-captions.pkl')
NEEDS = {split: ((f'{split}_list.txt',), CAPTIONS) for split in ('train', 'val', 'test')}
PUBLISHED = {'train': 1200, 'val': 100, 'test': 670}


def read_splits(chosen: dict[str, list[Path]], files: VideoFiles, notes: Notes) -> dict[str, Records]:
    """Makes the records of each split from its list and the captions of all clips."""
    captions = read_captions(next(iter(chosen.values()))[1], notes)
    splits = {}
    for split, (path, _) in chosen.items():
        listed = {clip: f'{clip} ({path}:{line})' for clip, (line, _) in read_list(path).items()}
        splits[split] = listed_records(listed, captions, files, notes)
    return splits


def read_captions(path: Path, notes: Notes) -> dict[str, list[str]]:
    """Reads JSON or a pickle of ``{clip_id: [caption, ...]}``, a caption being a text or a list of words."""
    content = read_plain_pickle(path) if path.suffix == '.pkl' else read_json(path, dict)
    if not isinstance(content, dict):
        raise AnnotationError(f'{path}: holds {type(content).__name__}, {{clip_id: captions}} was expected.')
    captions = {}
    for key, texts in track(content.items(), path.name):
        clip = _text_of(key, f'{path}, a clip id', notes)
        if not isinstance(texts, list):
            raise AnnotationError(f'{path}, {clip}: {str(texts)[:80]!r} is not a list of captions.')
        captions[clip] = []
        for number, words in enumerate(texts):
            words = words if isinstance(words, (list, tuple)) else [words]
            place = f'{path}, {clip}[{number}]'
            captions[clip].append(' '.join(_text_of(word, place, notes) for word in words))
    return captions


def _text_of(value: Any, place: str, notes: Notes) -> str:
    if isinstance(value, bytes):  # a text of Python 2
        return decode(value, place, notes)
    if not isinstance(value, str):
        raise AnnotationError(f'{place}: {value!r} is not a text. Correct the file, or fetch it again.')
    return value
