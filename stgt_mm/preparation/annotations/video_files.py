"""The file of each video: paths below a folder, with the extension that they have there."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from stgt_mm.datasets.records import MissingVideosError
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.progress import track

VIDEO_SUFFIXES = ('.mp4', '.mkv', '.webm', '.mov', '.avi', '.m4v', '.mpg', '.mpeg')
# what cameras and phones write besides, and what the web of 2010 had
CAMERA_SUFFIXES = ('.3g2', '.3gp', '.3gpp', '.m2ts', '.mts', '.qt', '.ts')
OLDER_SUFFIXES = ('.asf', '.divx', '.flv', '.null', '.ogv', '.wmv')
ALL_SUFFIXES = frozenset(VIDEO_SUFFIXES + CAMERA_SUFFIXES + OLDER_SUFFIXES)


def stem_of(name: str) -> str:
    """Takes the video extensions off a file name: ``a`` of ``a.mov.mp4`` (a converted ``a.mov``) or ``a.``.

    Dots that start no extension of a video stay.
    """
    name = name.rstrip('.')
    while PurePosixPath(name).suffix.lower() in ALL_SUFFIXES:
        name = PurePosixPath(name).stem
    return name


class VideoFiles:
    """Answers which file holds a video.

    With a folder, the file of the same stem anywhere below it, whatever its extension; of several the one
    nearest to the root, an assumed extension first. Without, the assumed path. Stems that were asked for are
    in ``found`` or ``missing``.
    """

    def __init__(self, root: str | Path | None, suffix: str) -> None:
        self.root = None if root is None else Path(root)
        self.suffix = '.' + suffix.lstrip('.')
        self.missing: set[str] = set()
        self.found: set[str] = set()
        self._paths: dict[str, str] = {}
        self._passed_over: dict[str, str] = {}  # of the stems with several files, the first that lost
        if self.root is None:
            return
        if not self.root.is_dir():
            raise FileNotFoundError(
                f"no folder '{self.root}' (working directory {Path.cwd()}). Correct --video-root, or leave "
                'it out: then nothing is looked for.'
            )
        for path in track(list_files(self.root), f'files below {self.root}'):
            stem = stem_of(PurePosixPath(path).name)
            if stem in self._paths:
                path, other = sorted((self._paths[stem], path), key=self._preference)
                self._passed_over.setdefault(stem, other)
            self._paths[stem] = path

    def path_of(self, stem: str, folder: str = '') -> str:
        """Returns the path of a video below the root; ``folder`` is where it is assumed to be."""
        assumed = str(PurePosixPath(folder) / (stem + self.suffix))
        if self.root is None:
            return assumed
        (self.found if stem in self._paths else self.missing).add(stem)
        return self._paths.get(stem, assumed)

    def report(self, notes: Notes) -> None:
        """Notes missing videos and those with several files; it is an error if all are missing."""
        if self.missing and not self.found:
            raise MissingVideosError(
                f"none of {len(self.missing):,} videos is below --video-root '{self.root}', which holds "
                f'{len(self._paths):,} files; looked for, with any extension: '
                f'{", ".join(sorted(self.missing)[:3])}. Correct --video-root, or leave it out to convert '
                'without looking.'
            )
        for stem in sorted(self.missing):
            notes.add(f"videos that are not below '{self.root}', kept as {self.suffix}", stem)
        for stem in sorted(self.found & self._passed_over.keys()):
            notes.add(
                'videos with several files', f'{self._paths[stem]} taken, not {self._passed_over[stem]}'
            )

    def _preference(self, path: str) -> tuple[int, bool, str]:
        return path.count('/'), not path.lower().endswith(self.suffix), path


def list_videos(root: Path) -> list[str]:
    """Lists the paths of all videos, by their names, sorted; a FileNotFoundError if there is none."""
    files = (file for file in map(PurePosixPath, list_files(root)) if not file.name.startswith('.'))
    videos = sorted(str(file) for file in files if file.suffix.lower() in ALL_SUFFIXES)
    if not videos:
        suffixes = ', '.join(sorted(ALL_SUFFIXES))
        raise FileNotFoundError(f"the folder '{root}' holds no video ({suffixes}).")
    return videos


def list_files(root: Path) -> Iterator[str]:
    """Yields the paths of all files, through linked folders too, each folder once."""
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        if os.path.realpath(folder) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(folder))
        inside = Path(folder).relative_to(root)
        yield from ((inside / file).as_posix() for file in files)
