"""Checkpoint files: written whole or not at all, read without executing anything they contain."""

import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stgt_mm.engine.checkpoint.disk_space import explained_when_full
from stgt_mm.engine.errors import CheckpointError
from stgt_mm.io.weight_files import CONVERT_COMMAND, read_state
from stgt_mm.io.whole_file import whole_file

POINTER = 'last_checkpoint'


def to_plain(value: Any) -> Any:
    """Turns a nested value into one that ``torch.load(weights_only=True)`` accepts.

    Args:
        value: Nested dicts, lists, tuples, numbers, strings, numpy values, tensors (any shape).

    Returns:
        The same with dicts as ``dict``, numpy scalars and arrays as Python values, tensors on the CPU.

    Raises:
        TypeError: If a value is of a class that would have to be pickled.
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


def keep_plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keeps the entries that can be stored as plain values.

    Args:
        values: Any mapping.

    Returns:
        The entries that :func:`to_plain` accepts.
    """
    kept = {}
    for key, value in values.items():
        with suppress(TypeError):
            kept[key] = to_plain(value)
    return kept


def write_checkpoint(checkpoint: dict[str, Any], path: str | Path) -> None:
    """Writes a checkpoint so that ``path`` always holds a whole file: the old one or the new one.

    Args:
        checkpoint: Plain values only, see :func:`to_plain`.
        path: Target; its folder is created.

    Raises:
        CheckpointSpaceError: If the disk is full; what stood at ``path`` is kept, the partial file removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with explained_when_full(path, checkpoint_bytes(checkpoint)):
        with whole_file(path) as partial, open(partial, 'wb') as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes a rename inside a folder survive a power cut.

    Args:
        folder: The folder whose entries changed.
    """
    with suppress(OSError):  # some network file systems cannot sync a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: str | Path, text: str) -> None:
    """Replaces a small text file in one step.

    Args:
        path: Target.
        text: New content.

    Raises:
        CheckpointSpaceError: If the disk is full; what stood at ``path`` is kept, the partial file removed.
    """
    with explained_when_full(path), whole_file(path) as partial, open(partial, 'w', encoding='utf-8') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def checkpoint_bytes(value: Any) -> int:
    """Counts the bytes of all tensors in a nested value.

    Args:
        value: Nested dicts, lists and tuples.

    Returns:
        Size in bytes; views of one storage count once.
    """
    storages: dict[int, int] = {}

    def visit(item: Any) -> None:
        if isinstance(item, torch.Tensor):
            storage = item.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        elif isinstance(item, Mapping):
            for child in item.values():
                visit(child)
        elif isinstance(item, (list, tuple)):
            for child in item:
                visit(child)

    visit(value)
    return sum(storages.values())


def read_checkpoint(path: str | Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """Reads a checkpoint without unpickling classes.

    Args:
        path: A ``.pth`` file (zip format of torch) or a ``.safetensors`` file with weights.
        map_location: Where tensors go.

    Returns:
        The stored dict; bare weights come as ``dict(state_dict=...)``.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file is truncated, damaged or holds pickled classes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no checkpoint at {path}. {_neighbours(path)}')
    if path.suffix == '.safetensors':
        return {'state_dict': _read_bare_weights(path)}
    _check_whole(path)
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f'{path} cannot be loaded with weights_only=True: {str(error).splitlines()[0]} '
            f'Only checkpoints of plain values are read; published ones are made so by: {CONVERT_COMMAND}'
        ) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'{path} holds a {type(checkpoint).__name__}, not a dict of weights.')
    return checkpoint if 'state_dict' in checkpoint else {'state_dict': checkpoint}


def _read_bare_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return read_state(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _check_whole(path: Path) -> None:
    """Compares the checksum of every record: torch itself does not when it maps a file."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise CheckpointError(
            f'{path} is not a whole checkpoint ({path.stat().st_size} bytes): {error}. '
            'It was truncated or half written; use an earlier one.'
        ) from error
    if damaged:
        raise CheckpointError(f'{path} is damaged at {damaged}; use an earlier one.')


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f'The folder {path.parent} does not exist.'
    names = sorted(file.name for file in path.parent.glob('*.pth'))
    return f'In that folder: {", ".join(names)}.' if names else 'That folder holds no .pth file.'


def resume_candidates(work_dir: str | Path) -> list[Path]:
    """Lists the checkpoints of a run from which training could go on, the newest first.

    Args:
        work_dir: The run's folder.

    Returns:
        Paths of ``epoch_*.pth`` and ``iter_*.pth``; the one named by ``last_checkpoint`` leads.
    """
    folder = Path(work_dir)
    found = [*folder.glob('epoch_*.pth'), *folder.glob('iter_*.pth')]
    found.sort(key=lambda file: (file.stat().st_mtime_ns, file.name), reverse=True)
    pointer = folder / POINTER
    if pointer.is_file():
        # by name, so that a work_dir that was moved still resumes
        last = folder / Path(pointer.read_text(encoding='utf-8').strip()).name
        if last in found:
            found.remove(last)
            found.insert(0, last)
    return found
