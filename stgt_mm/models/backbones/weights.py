"""Weight files of frozen backbones: where they are, how they are read and loaded."""

from importlib.resources import files
from pathlib import Path

from torch import Tensor, nn

from stgt_mm.io.weight_files import CONVERT_COMMAND, read_state

PACKAGE_PREFIX = 'package://'


def resolve_weights(location: str) -> Path:
    """Returns the path of a weight file.

    Args:
        location: A path, or ``package://<package>/<path>`` for a file that ships inside a Python package.

    Returns:
        An existing file, or an existing folder in which Hugging Face keeps weights.

    Raises:
        FileNotFoundError: If there is none.
    """
    path = Path(location)
    if location.startswith(PACKAGE_PREFIX):
        package, _, inner = location[len(PACKAGE_PREFIX) :].partition('/')
        path = Path(str(files(package))) / inner
    if not path.exists():
        raise FileNotFoundError(
            f"no weights at '{location}' (looked for {path}). Give the path of a .safetensors or .pth file, "
            f'or {PACKAGE_PREFIX}<package>/<path> for one that ships with a package. Published weights are '
            f'made ready by: {CONVERT_COMMAND}'
        )
    return path


def read_weights(location: str) -> dict[str, Tensor]:
    """Reads a state dict without ever running code from the file.

    Args:
        location: As for ``resolve_weights``; what it may be is said at
            :func:`stgt_mm.io.weight_files.read_state`.

    Returns:
        Names and tensors, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or holds anything but tensors by name.
    """
    return read_state(resolve_weights(location))


def load_strictly(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Loads a state dict and lists everything that does not fit before anything is changed.

    Args:
        module: Receives the weights.
        state: Names and tensors.
        source: Named in the message.

    Raises:
        ValueError: If keys are missing, unexpected or of another shape; each is listed.
    """
    own = module.state_dict()
    problems = [f'missing: {key}' for key in own if key not in state]
    problems += [f'unexpected: {key}' for key in state if key not in own]
    problems += [
        f'shape: {key} is {list(state[key].shape)} in the file, {list(own[key].shape)} in the model'
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if problems:
        shown = '\n  '.join(problems[:40])
        more = f'\n  and {len(problems) - 40} more' if len(problems) > 40 else ''
        raise ValueError(f"the weights of '{source}' do not fit:\n  {shown}{more}")
    module.load_state_dict(state)
