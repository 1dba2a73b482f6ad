"""Videos that records name and that are missing, looked for before any work is done."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stgt_mm.datasets.video_root import VideoRoot, find_root

# where missing='error' looks for SAMPLE files in place of all
LARGE = 200_000
SAMPLE = 2_000
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

Rows = Sequence[dict[str, Any]]


class MissingVideosError(FileNotFoundError):
    """Videos that an annotation file names and that are not below the video root."""


def check_videos(records: Rows, root: str | Path, missing: str = 'error') -> tuple[Rows, int]:
    """Returns the records to use, and the number of files that are missing below ``root``, or in its shards.

    ``missing='error'`` stops when a file is missing; of more than ``LARGE`` records only ``SAMPLE``, spread
    evenly, are looked for. ``'skip'`` leaves the records of missing files out, ``'keep'`` leaves them in
    (evaluation that counts what it cannot read). It is an error in any case if all files are missing.
    """
    if missing not in ('error', 'skip', 'keep'):
        raise ValueError(f"missing='{missing}' is unknown. Use 'error', 'skip' or 'keep'.")
    root = find_root(root)
    if missing == 'error' and len(records) > LARGE:
        # asked for one by one: a listing of ten million files takes minutes on a network disk
        places = np.linspace(0, len(records) - 1, SAMPLE).astype(np.int64)
        files = [records[place]['video'] for place in places.tolist()]
        absent = [file for file in files if file not in root]
        if absent:
            what = f'{SAMPLE} videos, a sample of {len(records)} records,'
            _refuse(what, absent, len(absent), len(files), root)
        return records, 0
    rows, num_files, num_absent = _absent(records, root)
    if not num_absent:
        return records, 0
    if missing == 'error' or num_absent == num_files:
        absent = list(dict.fromkeys(records[row]['video'] for row in rows[:1000].tolist()))
        _refuse(f'{num_files} videos', absent, num_absent, num_files, root)
    if missing == 'keep':
        return records, num_absent
    kept = np.setdiff1d(np.arange(len(records)), rows, assume_unique=True)
    take = getattr(records, 'take', None)
    return (take(kept) if take else [records[row] for row in kept.tolist()]), num_absent


def _refuse(what: str, absent: list[str], num_absent: int, num_files: int, root: VideoRoot) -> None:
    shown = ', '.join(root.address(file) for file in absent[:3])
    if num_absent == num_files:
        article = 'the ' * what.endswith('videos')  # of all, not of a sample
        raise MissingVideosError(
            f"none of {article}{what} is below video_root='{root}'. Looked for, among others: {shown}. "
            'Correct `video_root`, or the `video` paths of the annotation file.'
        )
    raise MissingVideosError(
        f"{num_absent} of {what} are missing below video_root='{root}': {shown}"
        f'{", ..." if num_absent > 3 else ""}. Fetch them, or go on without them: '
        "missing='skip' of the data set in training, skip_broken=True of the loop (tools/test.py "
        '--skip-broken) in evaluation.'
    )


def _absent(records: Rows, root: VideoRoot) -> tuple[np.ndarray, int, int]:
    """Rows of the records whose file is missing, number of files, number of missing files.

    One listing a folder: asking for each file takes minutes on a network disk. Of each file 12 bytes are
    kept. Were a missing file to share its 64 bits with one that is there, it would be found when it is read.
    """
    folders: dict[str, int] = {}
    folder_of, names = array('i'), array('q')
    column = getattr(records, 'column', None)
    for video in column('video') if column else (record['video'] for record in records):
        name = video.rpartition('/')[2]
        folder_of.append(folders.setdefault(video[: len(video) - len(name)], len(folders)))
        names.append(hash(name))
    folder_ids, name_ids = np.frombuffer(folder_of, np.int32), np.frombuffer(names, np.int64)
    absent = np.ones(len(name_ids), bool)
    order = np.argsort(folder_ids, kind='stable')
    bounds = np.searchsorted(folder_ids[order], np.arange(len(folders) + 1))
    for folder, place in folders.items():
        rows = order[bounds[place] : bounds[place + 1]]
        absent[rows] = ~np.isin(name_ids[rows], root.name_hashes(folder))
    files = name_ids.view(np.uint64) * _FACTOR + folder_ids.astype(np.uint64)
    rows = np.flatnonzero(absent)
    return rows, len(np.unique(files)), len(np.unique(files[rows]))
