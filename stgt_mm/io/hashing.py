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
    """Hashes a file; 64 hexadecimal digits, as all functions here give."""
    with Path(path).open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def state_sha256(state: nn.Module | Mapping[str, torch.Tensor]) -> str:
    """Hashes the names, types, shapes and bytes of all tensors of a state dict, or of a module's own."""
    digest = hashlib.sha256()
    for name, tensor in sorted((state.state_dict() if isinstance(state, nn.Module) else state).items()):
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def config_sha256(cfg: Mapping[str, Any], left_out: Collection[str] = OF_THE_RUN) -> str:
    """Hashes a resolved config but for the keys ``left_out``, whatever the order of its keys."""
    plain = {key: value for key, value in cfg.items() if key not in left_out}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=_named).encode()).hexdigest()


def _named(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    # a class and its registered name are the same component
    return value.__name__ if isinstance(value, type) or callable(value) else repr(value)
