"""SHA-256 of what a result depends on: files, weights, configs."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

# where a run happens and what it starts from do not belong to what is run
OF_THE_RUN = frozenset(
    {'work_dir', 'launcher', 'load_from', 'load_strict', 'resume', 'experiment_name', 'filename'}
)


def file_sha256(path: str | Path) -> str:
    """Hashes a file.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with Path(path).open('rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def state_sha256(module: nn.Module) -> str:
    """Hashes all parameters and buffers of a module.

    Args:
        module: Any module that is not on the meta device.

    Returns:
        64 hexadecimal digits, over names, types, shapes and bytes.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def config_sha256(cfg: Mapping[str, Any], left_out: Collection[str] = OF_THE_RUN) -> str:
    """Hashes a resolved config, whatever the order of its keys.

    Args:
        cfg: The config.
        left_out: Keys that do not count, by default those that say where it writes, how it was launched and
            which checkpoint it loads.

    Returns:
        64 hexadecimal digits.
    """
    plain = {key: value for key, value in cfg.items() if key not in left_out}
    text = json.dumps(plain, sort_keys=True, default=_named)
    return hashlib.sha256(text.encode()).hexdigest()


def _named(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    # a class and its registered name are the same component
    return value.__name__ if isinstance(value, type) or callable(value) else repr(value)
