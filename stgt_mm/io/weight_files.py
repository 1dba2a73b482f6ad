"""Weight files and folders of weight files, read without running anything that they contain."""

import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from stgt_mm.io.hashing import state_sha256
from stgt_mm.io.whole_file import whole_file

CONVERT_COMMAND = 'python tools/model_converters/convert.py SOURCE IN OUT'
# where others put the weights inside of what they save
_WRAPPERS = ('state_dict', 'model', 'module', 'model_state_dict')
_INDEXES = ('model.safetensors.index.json', 'pytorch_model.bin.index.json')
_WHOLE = ('model.safetensors', 'pytorch_model.bin')


def read_state(location: str | Path, skip_objects: bool = False) -> dict[str, Tensor]:
    """Reads a state dict to the CPU, in the precision of the file.

    ``location`` is a ``.safetensors`` file; a file of ``torch.save``, read with ``weights_only``; an index of
    shards (``*.index.json``); or a folder of Hugging Face, in one file or in shards. A dict with a key like
    'model' or 'state_dict' is unpacked, ``module.`` before all names is taken away.

    With ``skip_objects`` a file of ``torch.save`` may hold objects of other packages beside the weights, such
    as the schedule of a training: they become empty shells, their code is not imported.

    A missing file or shard is a FileNotFoundError; a damaged one, or one that holds anything but tensors by
    name, a ValueError; both name it.
    """
    path = Path(location)
    if path.is_dir():
        path = _file_of_folder(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file or folder '{location}' (working directory {Path.cwd()}).")
    if path.name.endswith('.index.json'):
        return _read_shards(path, skip_objects)
    if path.suffix == '.safetensors':
        return _read_safetensors(path)
    # mapped, weights are read when they are used; only the zip form of torch.save can be
    return _unpack(read_plain(path, skip_objects=skip_objects, mmap=zipfile.is_zipfile(path)), path)


def _file_of_folder(folder: Path) -> Path:
    for name in (*_INDEXES, *_WHOLE):
        if (folder / name).is_file():
            return folder / name
    found = ', '.join(sorted(file.name for file in folder.iterdir())[:10]) or 'nothing'
    raise FileNotFoundError(
        f"the folder '{folder}' has none of {', '.join((*_INDEXES, *_WHOLE))}. In it: {found}. "
        'Give the weight file itself if it has another name.'
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        state = load_file(path)
        with safe_open(path, 'pt') as file:
            written = (file.metadata() or {}).get('sha256')
    except SafetensorError as error:
        raise ValueError(f"'{path}' is damaged or not whole ({error}). Download it again.") from error
    # the format has no checksum; what write_safetensors wrote has its own
    if written is not None and written != state_sha256(state):
        raise ValueError(
            f"'{path}' is damaged: its tensors have changed since it was written. Make it again."
        )
    return state


def _read_shards(index: Path, skip_objects: bool) -> dict[str, Tensor]:
    """Reads all shards; huggingface_hub writes them, but loads them into a model only, without account."""
    try:
        where = json.loads(index.read_text(encoding='utf-8'))['weight_map']
        shards = sorted(set(where.values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"'{index}' is not an index of shards: {type(error).__name__}: {error}") from error
    outside = [shard for shard in shards if Path(shard).name != shard]
    if outside:
        raise ValueError(f"'{index}' names the shard '{outside[0]}', which is not in its folder.")
    missing = [shard for shard in shards if not (index.parent / shard).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(shards)} shards are missing in {index.parent}: {", ".join(missing)}. '
            'Download them again.'
        )
    state: dict[str, Tensor] = {}
    for shard in shards:
        part = read_state(index.parent / shard, skip_objects)
        lacking = [key for key, name in where.items() if name == shard and key not in part]
        if lacking:
            raise ValueError(
                f"'{index.parent / shard}' lacks {len(lacking)} tensors that {index.name} places there "
                f'({lacking[0]}, ...): the shard is not of this index. Download it again.'
            )
        state.update(part)
    return state


def read_plain(path: Path, map_location: Any = 'cpu', skip_objects: bool = False, mmap: bool = False) -> Any:
    """Reads a file of ``torch.save`` that holds tensors and plain values; nothing of it is run.

    A damaged file, or one with objects, is a ValueError; ``skip_objects`` makes them empty shells.
    """
    options = {'map_location': map_location, 'mmap': mmap}
    _check_sums(path)
    try:
        return _load(path, options)
    except Exception as error:
        text = str(error)
        if 'TorchScript' in text:
            raise ValueError(
                f"'{path}' is a TorchScript program, not weights, and is not run. Take the weights in "
                'another form: model.safetensors of openai/clip-vit-base-patch32, for one.'
            ) from error
        if 'GLOBAL' not in text:
            raise ValueError(_damaged(path, _reason(text))) from error
        if not skip_objects:
            raise ValueError(
                f'{_refused(path, text)} Only plain values are read; what a training keeps beside the '
                f'weights is taken out by: {CONVERT_COMMAND}'
            ) from error
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        with torch.serialization.safe_globals([(type(name, (_Shell,), {}), name) for name in names]):
            return _load(path, options)
    except Exception as error:
        raise ValueError(_refused(path, str(error))) from error


def _check_sums(path: Path) -> None:
    """Compares the checksums of an archive: torch itself does not."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            record = archive.testzip()
    except Exception as error:  # a damaged directory makes zipfile fail in a dozen ways
        raise ValueError(_damaged(path, f'{type(error).__name__}: {error}')) from error
    if record is not None:
        raise ValueError(_damaged(path, f'the checksum of {record} is wrong'))


def _damaged(path: Path, why: str) -> str:
    return (
        f"'{path}' ({path.stat().st_size} bytes) is damaged, not whole, or not a file of torch.save: {why}. "
        'It was truncated or half written: use an earlier one, or download it again.'
    )


def _refused(path: Path, message: str) -> str:
    names = re.findall(r'GLOBAL ([\w.]+)', message)
    what = f'an object of {names[0]}' if names else _reason(message)
    return (
        f"'{path}' is not loaded (weights_only=True): it holds {what}, and objects can run code. "
        'Do not load it with weights_only=False.'
    )


def _reason(message: str) -> str:
    """Finds what torch says was wrong, without its advice to set weights_only=False."""
    found = re.search(r'WeightsUnpickler error: ([^\n]+)', message)
    return (found[1] if found else message.partition('\n')[0]).rstrip('. ') or 'it cannot be read'


def _load(path: Path, options: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='.*TorchScript archive', category=UserWarning)
        return torch.load(path, weights_only=True, **options)


class _Shell:
    """Takes anything, keeps nothing and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> '_Shell':
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


def _unpack(content: Any, path: Path) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        inner = [name for name in _WRAPPERS if isinstance(content.get(name), Mapping)]
        if not inner:
            break
        content = content[inner[0]]
    if not isinstance(content, Mapping) or not all(isinstance(x, Tensor) for x in content.values()):
        raise ValueError(f"'{path}' is not a state dict: it must map names to tensors.")
    if content and all(key.startswith('module.') for key in content):
        return {key.removeprefix('module.'): value for key, value in content.items()}
    return dict(content)


def write_safetensors(state: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, str]) -> None:
    """Writes a state dict whole or not at all; the name must end in .safetensors."""
    path = Path(path)
    if path.suffix != '.safetensors':
        raise ValueError(f"'{path}' must end in .safetensors.")
    with whole_file(path) as partial:
        partial.touch()
        rights = partial.stat().st_mode  # those of any new file: the library makes it for its owner alone
        state = independent(state)
        try:
            save_file(state, partial, metadata={'format': 'pt', 'sha256': state_sha256(state), **metadata})
        except SafetensorError as error:
            raise OSError(f"cannot write '{path}': {error}. Is the disk full?") from error
        partial.chmod(rights)


def independent(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies the tensors that are views of others, which a file of tensors cannot hold."""
    out, seen = {}, set()
    for name, tensor in state.items():
        storage = tensor.untyped_storage()
        alone = storage.nbytes() == tensor.nbytes and storage.data_ptr() not in seen
        seen.add(storage.data_ptr())
        out[name] = (tensor if alone else tensor.clone()).detach().contiguous()
    return out
