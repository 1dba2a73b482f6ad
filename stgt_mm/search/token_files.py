"""Video tokens beside an index: arrays that are written once and mapped into memory."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from secrets import token_hex

import numpy as np
import torch
from torch import Tensor

from stgt_mm.io.whole_file import remove_partial_files, whole_file


class TokenFiles:
    """Files of arrays (n, M, C) in a folder; the tokens of one moment are named ``file:row``.

    An index names a file only after it is written: a crash leaves at most one that nobody needs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened = lru_cache(maxsize=64)(self._open)

    def write(self, tokens: Sequence[Tensor]) -> list[str]:
        """Writes tokens, (M, C) each, to a new file; returns their names."""
        name = f'{token_hex(8)}.npy'
        with whole_file(self.folder / name) as partial:
            np.save(partial, torch.stack(list(tokens)).numpy())
        return [f'{name}:{row}' for row in range(len(tokens))]

    def read(self, name: str) -> Tensor:
        """Returns a copy of the tokens (M, C) of this name."""
        file, _, row = name.rpartition(':')
        return torch.from_numpy(np.array(self._opened(file)[int(row)]))

    def _open(self, file: str) -> np.ndarray:
        return np.load(self.folder / file, mmap_mode='r', allow_pickle=False)

    def keep_only(self, names: Collection[str]) -> None:
        """Removes the files that hold none of these."""
        needed = {name.rpartition(':')[0] for name in names}
        for path in self.folder.glob('*.npy'):
            if path.name not in needed:
                path.unlink(missing_ok=True)
        remove_partial_files(self.folder)
