"""The base of heads over a closed vocabulary: the file of its names, which a checkpoint is tied to."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn


class VocabularyHead(nn.Module):
    """Base of heads that choose from the lines of a file; a subclass calls ``build_classifier``.

    Args:
        file: Text file with a name a line.
        count: Names, of which the head can be built before the file is there; None for those of the file.
        read: Reads file and count, with errors that name the remedy.
    """

    def __init__(self, file: str, count: int | None, read: Callable[[str, int | None], list[str]]) -> None:
        super().__init__()
        self._file, self._count, self._read = file, count, read

    def build_classifier(self, width: int) -> None:
        """Adds ``classifier``, from features of a width to logits, and the hash of the names."""
        there = self._count is None or Path(self._file).expanduser().is_file()
        self.classifier = nn.Linear(width, len(self.names) if there else self._count)
        # in checkpoints, which are of use with the same names in the same order only
        digest = hashlib.sha256('\n'.join(self.names).encode()).digest() if there else bytes(32)
        self.register_buffer('vocabulary_sha256', torch.tensor(list(digest), dtype=torch.uint8))

    @cached_property
    def names(self) -> list[str]:
        """The names, in the order of the logits."""
        return self._read(self._file, self._count)

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each name."""
        return {name: place for place, name in enumerate(self.names)}

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        saved = state_dict.get(f'{prefix}vocabulary_sha256')
        own = self.vocabulary_sha256
        if saved is not None and saved.any() and own.any() and not torch.equal(saved.cpu(), own.cpu()):
            raise ValueError(
                f"the checkpoint was trained on another vocabulary than '{self._file}': give the one "
                'that it was trained on, the same names in the same order.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)
