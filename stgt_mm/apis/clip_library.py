"""The clips that a page may show: those of one folder, and uploads of limited kind, size and number."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath

from stgt_mm.datasets.readers import open_video
from stgt_mm.errors import UserError
from stgt_mm.search.sources import list_videos

UPLOAD_SUFFIXES = ('.mp4', '.webm', '.mov', '.m4v', '.mkv', '.avi')
UPLOADED = 'uploaded'
# how these files begin: a playlist that is named .mp4 would have the decoder open the files that it names
_BEGINNINGS = (
    (4, (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip')),  # MP4, QuickTime
    (0, (b'\x1a\x45\xdf\xa3',)),  # Matroska, WebM
    (8, (b'AVI ',)),
)


class RefusedClipError(UserError):
    """A name that stands for no clip of the library, or a file that is not taken into it."""


class ClipLibrary:
    """Names of clips and their files: a name stands for a video of the folder or an upload, or for nothing.

    Args:
        folder: Its videos, below it at any depth, are named by their path from it. One that is a link to
            somewhere else is left out. None: uploads only.
        uploads: A folder for uploads; they are named ``uploaded/<file>``.
        max_bytes: Of an upload.
        max_uploads: How many are kept.

    Attributes:
        files: Absolute paths by name.
        left_out: Videos of the folder that are links to another place.
    """

    def __init__(
        self,
        folder: str | os.PathLike | None,
        uploads: str | os.PathLike,
        max_bytes: int = 100 * 2**20,
        max_uploads: int = 50,
    ) -> None:
        self.root = None if folder is None else Path(os.path.abspath(os.path.expanduser(folder)))
        self.uploads = Path(os.path.abspath(uploads))
        self.max_bytes, self.max_uploads = max_bytes, max_uploads
        self.files: dict[str, str] = {}
        self.left_out: list[str] = []
        if self.root is None:
            return
        if not self.root.is_dir():
            raise FileNotFoundError(f"no folder '{self.root}' (working directory {Path.cwd()}).")
        for path in list_videos(self.root):
            name = PurePath(path).relative_to(self.root).as_posix()
            if self._inside(path):
                self.files[name] = path
            else:
                self.left_out.append(name)

    @property
    def names(self) -> list[str]:
        """Returns the names of all clips, uploads first."""
        return sorted(self.files, key=lambda name: (not self._is_upload(name), name))

    @property
    def folders(self) -> list[str]:
        """Returns the names of all folders with clips below them; that of the whole is not among them."""
        return sorted({str(parent) for name in self.files for parent in PurePath(name).parents} - {'.'})

    def find(self, name: str) -> str:
        """Returns the path of a clip; any other name, and a file that is now a link, is refused."""
        path = self.files.get(name)
        if path is None or not self._inside(path):
            raise RefusedClipError(f"there is no clip '{name}' in the folder or among the uploads.")
        return path

    def paths_in(self, folder: str = '') -> list[str]:
        """Returns paths of folders that hold all clips of a folder of :attr:`folders`, or all clips."""
        if not folder:
            return [str(place) for place in (self.root, self.uploads) if place is not None]
        if folder not in self.folders:
            raise RefusedClipError(f"there is no folder '{folder}' with clips.")
        return [str(self.uploads if folder == UPLOADED else self.root / folder)]

    def name_of(self, path: str) -> str:
        """Returns the name of a file that :meth:`paths_in` covers."""
        if Path(path).is_relative_to(self.uploads):
            return f'{UPLOADED}/{Path(path).name}'
        return Path(path).relative_to(self.root).as_posix()

    def take(self, files: Sequence[str | os.PathLike]) -> list[str]:
        """Moves uploaded files into the library, all or none, and returns their names."""
        count = sum(map(self._is_upload, self.files))
        if count + len(files) > self.max_uploads:
            raise RefusedClipError(
                f'{count} clips are uploaded and {len(files)} more are not taken: at most {self.max_uploads}.'
            )
        for file in files:
            self._check(Path(file))
        return [self._move(Path(file)) for file in files]

    def _check(self, file: Path) -> None:
        if file.suffix.lower() not in UPLOAD_SUFFIXES:
            raise RefusedClipError(
                f"'{file.name}' is not taken: only files named {', '.join(UPLOAD_SUFFIXES)} are."
            )
        size = file.stat().st_size
        if size > self.max_bytes:
            raise RefusedClipError(
                f"'{file.name}' is not taken: it has {size / 2**20:.1f} MB, more than "
                f'{self.max_bytes / 2**20:g} MB.'
            )
        with open(file, 'rb') as opened:
            head = opened.read(12)
        if not any(head[place : place + 4] in kinds for place, kinds in _BEGINNINGS):
            raise RefusedClipError(f"'{file.name}' is not taken: what is in it is no such video.")
        with open_video(file, exact=False) as video:  # a VideoReadError if no frame can be decoded
            video.get([0])

    def _move(self, file: Path) -> str:
        self.uploads.mkdir(parents=True, exist_ok=True)
        number, name = 1, f'{UPLOADED}/{file.name}'
        while name in self.files:
            number += 1
            name = f'{UPLOADED}/{file.stem}-{number}{file.suffix}'
        path = self.uploads / PurePath(name).name
        shutil.move(file, path)
        self.files[name] = str(path)
        return name

    def _is_upload(self, name: str) -> bool:
        return Path(self.files[name]).parent == self.uploads

    def _inside(self, path: str) -> bool:
        real = Path(os.path.realpath(path))
        places = [place for place in (self.root, self.uploads) if place is not None]
        return any(real.is_relative_to(os.path.realpath(place)) for place in places)
