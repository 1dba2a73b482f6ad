"""LSMDC: clips of films with a sentence each; the public test of 1,000 clips.

Source: Rohrbach et al., "Movie Description" (IJCV 2017).
"""

import re
from pathlib import Path

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.captions import Records, caption_records
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.reading import read_lines
from stgt_mm.preparation.annotations.video_files import VideoFiles
from stgt_mm.progress import track

SUFFIX = '.avi'
NEEDS = {
    'train': (('LSMDC16_annos_training.csv',),),
    'val': (('LSMDC16_annos_val.csv',),),
    'test': (('LSMDC16_challenge_1000_publictect.csv',),),
}
PUBLISHED = {'test': 1000}
COLUMNS = ('clip_id', 'start_aligned', 'end_aligned', 'start_extracted', 'end_extracted', 'sentence')
TIME = r'\d\d\.\d\d\.\d\d\.\d+'
CLIP = re.compile(rf'(?P<film>.+)_{TIME}-{TIME}')


def read_splits(chosen: dict[str, list[Path]], files: VideoFiles, notes: Notes) -> dict[str, Records]:
    """Makes the records of each split; without a folder of videos they are ``<film>/<clip_id>.avi``."""
    splits: dict[str, Records] = {}
    for split, (path,) in chosen.items():
        splits[split] = []
        for clip, sentences in read_clips(path, notes).items():
            video = files.path_of(clip, folder=CLIP.fullmatch(clip)['film'])
            splits[split].extend(caption_records(video, clip, sentences, notes))
    return splits


def read_clips(path: Path, notes: Notes) -> dict[str, list[str]]:
    """Reads lines of :data:`COLUMNS` with TABs between, without header; gives each clip its sentences."""
    clips: dict[str, list[str]] = {}
    for number, line in track(read_lines(path, notes), path.name):
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
