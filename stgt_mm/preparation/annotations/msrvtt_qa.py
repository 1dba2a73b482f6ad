"""MSRVTT-QA: questions on the full split of MSR-VTT.

Source: Xu et al., "Video Question Answering via Gradually Refined Attention" (ACM Multimedia 2017).
"""

from pathlib import Path

from stgt_mm.preparation.annotations.captions import Records
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.questions import NEEDS, question_records
from stgt_mm.preparation.annotations.video_files import VideoFiles

__all__ = ['NEEDS', 'PUBLISHED', 'SUFFIX', 'read_splits']
SUFFIX = '.mp4'
PUBLISHED = {'train': 158_581, 'val': 12_278, 'test': 72_821}


def read_splits(chosen: dict[str, list[Path]], files: VideoFiles, notes: Notes) -> dict[str, Records]:
    """Makes the records of each split; the authors' number n is ``video<n>``."""
    return {
        split: question_records(paths[0], files, lambda number, _: f'video{number}')
        for split, paths in chosen.items()
    }
