"""Markers that say what a piece of work was made from, so that a second run knows whether to do it again."""

import json
from pathlib import Path
from typing import Any

from stgt_mm.io.whole_file import whole_file


def write_marker(path: str | Path, made_from: Any) -> None:
    """Writes down what the work was made from: plain values that JSON can hold."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(made_from, indent=1, sort_keys=True))


def marker_fits(path: str | Path, made_from: Any) -> bool:
    """Says whether the marker is there, can be read and names the same values."""
    try:
        known = json.loads(Path(path).read_text())
    except (OSError, ValueError):
        return False
    return known == json.loads(json.dumps(made_from))
