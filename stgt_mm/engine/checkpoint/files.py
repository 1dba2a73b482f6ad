"""Checkpoint files: written whole or not at all, read without executing anything they contain."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from stgt_mm.engine.checkpoint.disk_space import explained_when_full
from stgt_mm.engine.errors import CheckpointError
from stgt_mm.io.weight_files import CONVERT_COMMAND, read_plain, read_state
from stgt_mm.io.whole_file import whole_file

POINTER = 'last_checkpoint'


def to_plain(value: Any) -> Any:
    """Turns a nested value into one that ``torch.load(weights_only=True)`` accepts.

    Dicts become ``dict``, numpy scalars and arrays Python values, tensors (any shape) go to the CPU. A value
    of a class that would have to be pickled is a TypeError.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, (np.generic, np.ndarray)):  # before float: np.float64 is one
        return to_plain(value.tolist())
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        kind = tuple if type(value) is tuple else list
        return kind(to_plain(item) for item in value)
    raise TypeError(f'{type(value).__name__} cannot be stored in a checkpoint as a plain value: {value!r}')


def write_checkpoint(checkpoint: dict[str, Any], path: str | Path) -> None:
    """Writes plain values so that ``path`` always holds a whole file: the old one or the new one.

    A full disk is a CheckpointSpaceError; what stood at ``path`` is kept, the partial file removed.
    """
    tensors = (value for value in tree_leaves(checkpoint) if isinstance(value, torch.Tensor))
    storages = (tensor.untyped_storage() for tensor in tensors)
    sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}  # views of one storage count once
    _write(Path(path), lambda file: torch.save(checkpoint, file), sum(sizes.values()))


def write_text(path: str | Path, text: str) -> None:
    """Replaces a small text file in one step, with the errors of :func:`write_checkpoint`."""
    _write(Path(path), lambda file: file.write(text.encode()))


def _write(path: Path, fill: Callable[[BinaryIO], Any], size: int = 0) -> None:
    with explained_when_full(path, size):
        with whole_file(path) as partial, open(partial, 'wb') as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        # the rename survives a power cut too; some network file systems cannot sync a folder
        with suppress(OSError):
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def read_checkpoint(path: str | Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """Reads a ``.pth`` file, or weights from a ``.safetensors`` file, without unpickling classes.

    Bare weights come as ``dict(state_dict=...)``. A file that is truncated or damaged, or that holds pickled
    classes or no weights, is a CheckpointError.
    """
    path = Path(path)
    if not path.is_file():
        names = ', '.join(sorted(file.name for file in path.parent.glob('*.pth')))
        found = f'In that folder: {names}.' if names else 'That folder holds no .pth file.'
        if not path.parent.is_dir():
            found = f'The folder {path.parent} does not exist.'
        raise FileNotFoundError(f'no checkpoint at {path}. {found}')
    try:
        if path.suffix == '.safetensors':
            return {'state_dict': read_state(path)}
        checkpoint = read_plain(path, map_location)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    expect(checkpoint, dict, path, 'it')
    if 'state_dict' not in checkpoint:
        checkpoint = {'state_dict': checkpoint}
    for key in ('state_dict', 'meta', 'frozen'):
        expect(checkpoint.get(key, {}), dict, path, key)
    for key, value in checkpoint['state_dict'].items():
        expect(key, str, path, 'a key of state_dict')
        expect(value, torch.Tensor, path, key)
    return checkpoint


def expect(value: Any, kind: type, path: str | Path, name: str) -> None:
    """Raises a CheckpointError if a part of a checkpoint is of another type."""
    if not isinstance(value, kind):
        raise CheckpointError(
            f'{path} is no checkpoint of this toolbox: {name} is a {type(value).__name__}, not a '
            f'{kind.__name__}. Published weights are made ready by: {CONVERT_COMMAND}'
        )


def resume_candidates(work_dir: str | Path) -> list[Path]:
    """Lists ``epoch_*.pth`` and ``iter_*.pth`` of a run, newest first; that in ``last_checkpoint`` leads."""
    folder = Path(work_dir)
    found = [*folder.glob('epoch_*.pth'), *folder.glob('iter_*.pth')]
    found.sort(key=lambda file: (file.stat().st_mtime_ns, file.name), reverse=True)
    pointer = folder / POINTER
    if pointer.is_file():
        # by name, so that a work_dir that was moved still resumes
        last = folder / Path(pointer.read_text(encoding='utf-8').strip()).name
        found.sort(key=lambda file: file != last)
    return found
