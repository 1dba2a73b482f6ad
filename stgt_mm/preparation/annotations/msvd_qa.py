"""MSVD-QA: questions on the clips of MSVD, which ``youtube_mapping.txt`` numbers.

Source: Xu et al., "Video Question Answering via Gradually Refined Attention" (ACM Multimedia 2017).
"""

from functools import cache
from pathlib import Path

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.captions import Records
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.questions import NEEDS, question_records
from stgt_mm.preparation.annotations.reading import read_list
from stgt_mm.preparation.annotations.video_files import VideoFiles

__all__ = ['MAPPING', 'NEEDS', 'PUBLISHED', 'SUFFIX', 'read_splits']
SUFFIX = '.avi'
MAPPING = 'youtube_mapping.txt'
PUBLISHED = {'train': 30_933, 'val': 6_415, 'test': 13_157}


def read_splits(chosen: dict[str, list[Path]], files: VideoFiles, notes: Notes) -> dict[str, Records]:
    """Makes the records of each split; the mapping is read where the authors' numbers are met."""
    mapping = next(iter(chosen.values()))[0].parent / MAPPING

    @cache
    def names() -> dict[str, str]:
        lines = read_list(mapping, name_of=lambda line: line.rpartition(' ')[2])
        return {number: line.rpartition(' ')[0].strip() for number, (_, line) in lines.items()}

    def name_of(number: int, place: str) -> str:
        if name := names().get(f'vid{number}'):
            return name
        raise AnnotationError(
            f"{place}: video_id {number} is not in '{mapping}', which has {len(names()):,} lines of a clip "
            f"and 'vid<number>'. Take both files from one download, or add '<clip_id> vid{number}'."
        )

    return {split: question_records(paths[0], files, name_of) for split, paths in chosen.items()}
