"""Files that are whole at any time: the old content or the new, never a part."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Lends a path to write to, which takes the place of ``path`` when the block ends well.

    After an error or an interrupt the partial file is removed and what stood at ``path`` is kept. Writers of
    the same path, on other machines too, do not meet. The folder is created; the partial file is hidden in
    it, with the same extension.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.stem}.partial-{token_hex(4)}{path.suffix}')
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if error.errno is not None and error.filename is None:  # of a write on a full disk
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def remove_partial_files(folder: str | Path) -> None:
    """Removes what a kill in the middle of writing left behind; no other process may be writing there."""
    for path in Path(folder).glob('.*.partial-*'):
        path.unlink(missing_ok=True)
