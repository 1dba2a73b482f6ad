"""Which file is whose: paths of videos below a folder, with the extension that they have there."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from stgt_mm.datasets.records import MissingVideosError
from stgt_mm.preparation.annotations.common import Notes, bar
from stgt_mm.preparation.annotations.custom import VIDEO_SUFFIXES

# what cameras, phones and YouTube wrote besides
SUFFIXES = frozenset(
    VIDEO_SUFFIXES
    + (
        '.3g2',
        '.3gp',
        '.3gpp',
        '.asf',
        '.divx',
        '.flv',
        '.m2ts',
        '.mts',
        '.null',
        '.ogv',
        '.qt',
        '.ts',
        '.wmv',
    )
)


def stem_of(name: str) -> str:
    """Takes the video extensions off a file name.

    Args:
        name: File name, e.g. ``a.mov.mp4`` of a converted ``a.mov``, or ``a.`` of one that had none.

    Returns:
        The rest, ``a``; dots that start no extension of a video stay.
    """
    name = name.rstrip('.')
    while PurePosixPath(name).suffix.lower() in SUFFIXES:
        name = PurePosixPath(name).stem
    return name


class VideoFiles:
    """Answers which file holds a video.

    With a folder, the file of the same stem anywhere below it, whatever its extension; of several the one
    nearest to the root, an assumed extension first. Without, the assumed path.

    Attributes:
        missing: Stems that were asked for and are not below the folder.
        found: Those that are.

    Args:
        root: Folder of the videos, or None.
        suffix: Extension that videos are assumed to have.

    Raises:
        FileNotFoundError: If ``root`` is no folder.
    """

    def __init__(self, root: str | Path | None, suffix: str) -> None:
        self.root = None if root is None else Path(root)
        self.suffix = '.' + suffix.lstrip('.')
        self.missing: set[str] = set()
        self.found: set[str] = set()
        self.twice: dict[str, list[str]] = {}
        self._paths: dict[str, str] = {}
        if self.root is None:
            return
        if not self.root.is_dir():
            raise FileNotFoundError(
                f"no folder '{self.root}' (working directory {Path.cwd()}). Correct --video-root, or leave "
                'it out: then nothing is looked for.'
            )
        for path in bar(_files_below(self.root), f'files below {self.root}'):
            self._paths.setdefault(stem_of(PurePosixPath(path).name), path)
            self._keep_best(stem_of(PurePosixPath(path).name), path)

    def path_of(self, stem: str, folder: str = '') -> str:
        """Returns the path of a video.

        Args:
            stem: File name without extension.
            folder: Folder that it is assumed to be in.

        Returns:
            The path below the root.
        """
        assumed = str(PurePosixPath(folder) / (stem + self.suffix))
        if self.root is None:
            return assumed
        (self.found if stem in self._paths else self.missing).add(stem)
        return self._paths.get(stem, assumed)

    def check(self, notes: Notes) -> None:
        """Reports what was looked for in vain.

        Args:
            notes: Gets the numbers of missing videos and of those with several files.

        Raises:
            MissingVideosError: If nothing that was asked for is there.
        """
        examples = sorted(self.missing)[:3]
        if self.missing and not self.found:
            raise MissingVideosError(
                f"none of {len(self.missing):,} videos is below --video-root '{self.root}', which holds "
                f'{len(self._paths):,} files; looked for, with any extension: {", ".join(examples)}. Correct '
                '--video-root, or leave it out to convert without looking.'
            )
        for stem in sorted(self.missing):
            notes.add(f"videos that are not below '{self.root}', kept as {self.suffix}", stem)
        for stem in sorted(self.found & self.twice.keys()):
            notes.add('videos with several files', f'{self._paths[stem]} taken, not {self.twice[stem][0]}')

    def _keep_best(self, stem: str, path: str) -> None:
        kept = self._paths[stem]
        if kept == path:
            return
        best, other = sorted((kept, path), key=self._order)
        self._paths[stem] = best
        self.twice.setdefault(stem, []).append(other)

    def _order(self, path: str) -> tuple[int, bool, str]:
        return path.count('/'), not path.lower().endswith(self.suffix), path


def _files_below(root: Path) -> Iterator[str]:
    """Yields the paths of all files, through linked folders too, each folder once."""
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        if os.path.realpath(folder) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(folder))
        inside = Path(folder).relative_to(root)
        yield from ((inside / file).as_posix() for file in files)
