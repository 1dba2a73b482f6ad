"""LSMDC: clips of films with a sentence each; the public test of 1,000 clips.

Source: Rohrbach et al., "Movie Description" (IJCV 2017).
"""

import re
from collections.abc import Sequence
from pathlib import Path

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.common import Notes, bar
from stgt_mm.preparation.annotations.reading import read_lines
from stgt_mm.preparation.annotations.splits import Records, caption_records, choose_splits
from stgt_mm.preparation.annotations.video_files import VideoFiles

SUFFIX = '.avi'
NEEDS = {
    'train': (('LSMDC16_annos_training.csv',),),
    'val': (('LSMDC16_annos_val.csv',),),
    'test': (('LSMDC16_challenge_1000_publictect.csv',),),
}
PUBLISHED = {'test': 1000}
COLUMNS = ('clip_id', 'start_aligned', 'end_aligned', 'start_extracted', 'end_extracted', 'sentence')
TIME = r'\d\d\.\d\d\.\d\d\.\d+'
CLIP = re.compile(rf'(?P<movie>.+)_{TIME}-{TIME}')


def read_clips(path: str | Path, notes: Notes) -> dict[str, list[str]]:
    """Reads a TAB-separated file without header.

    Args:
        path: Lines of :data:`COLUMNS`, in UTF-8 or Windows-1252.
        notes: Gets the lines that are not UTF-8 and those that give a clip a further sentence.

    Returns:
        For each clip its sentences in file order.

    Raises:
        AnnotationError: If a line has another number of columns, or a clip id names no film.
    """
    path = Path(path)
    clips: dict[str, list[str]] = {}
    for number, line in bar(read_lines(path, notes), path.name):
        if not line.strip():
            continue
        values = line.split('\t')
        if len(values) < len(COLUMNS) or ''.join(values[len(COLUMNS) :]).strip():
            raise AnnotationError(
                f'{path}:{number}: {len(values)} columns, {len(COLUMNS)} were expected: {line[:120]!r}. '
                f'Separate with one TAB each: {", ".join(COLUMNS)}.'
            )
        clip = values[0].strip()
        if CLIP.fullmatch(clip) is None:
            raise AnnotationError(
                f"{path}:{number}: clip id '{clip}' is not <film>_<start>-<end>, such as "
                '3086_UGLY_TRUTH_00.23.23.000-00.23.28.886. Correct it.'
            )
        if clip in clips:
            notes.add(f'lines of {path.name} that give a clip a further sentence', f'{clip} (line {number})')
        clips.setdefault(clip, []).append(values[len(COLUMNS) - 1])
    return clips


def read_splits(
    source: str | Path, wanted: Sequence[str] | None, files: VideoFiles, notes: Notes
) -> dict[str, Records]:
    """Reads the annotation files of LSMDC.

    Args:
        source: Folder with the files of :data:`NEEDS`.
        wanted: ``train``, ``val``, ``test``; None for all that the files allow.
        files: Where the videos are, without a folder of them as ``<film>/<clip_id>.avi``.
        notes: What was met on the way.

    Returns:
        Records of each split.
    """
    splits: dict[str, Records] = {}
    for split, (path,) in choose_splits(source, NEEDS, wanted, notes).items():
        splits[split] = []
        for clip, sentences in read_clips(path, notes).items():
            video = files.path_of(clip, folder=CLIP.fullmatch(clip)['movie'])
            splits[split].extend(caption_records(video, clip, sentences, notes))
    return splits
