"""Weight files of frozen backbones: where they are."""

from importlib.resources import files
from pathlib import Path

from stgt_mm.io.weight_files import CONVERT_COMMAND

PACKAGE_PREFIX = 'package://'


def resolve_weights(location: str) -> Path:
    """Returns the path of an existing weight file or Hugging Face folder.

    ``package://<package>/<path>`` is a file that ships inside a Python package.
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
