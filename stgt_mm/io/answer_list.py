"""Closed vocabularies, of answers or of actions: a text file with one a line."""

from pathlib import Path

_TOOLS = 'python tools/dataset_converters'


def read_answers(location: str, count: int | None = None) -> list[str]:
    """Reads the first ``count`` answers, or all, of a text file with an answer a line.

    A ValueError if it is missing, empty, too short, or has an answer twice.
    """
    build = f'{_TOOLS}/build_answers.py TRAIN.jsonl {location}'
    few = f'make it of more training answers: {build}, or lower num_answers.'
    return _read(location, count, 'answer', f'Make it: {build}', few)


def read_actions(location: str, count: int | None = None) -> list[str]:
    """Reads the names of all actions of a data set; with ``count`` there must be exactly so many."""
    made = f'The converter of the data set writes it, {_TOOLS}/ucf101.py for one.'
    names = _read(location, None, 'action', made, f'is it whole? {made}')
    if count not in (None, len(names)):
        raise ValueError(f"num_actions={count}, but '{location}' has {len(names)}: correct one of the two.")
    return names


def _read(location: str, count: int | None, what: str, made: str, few: str) -> list[str]:
    path = Path(location).expanduser()
    if not path.is_file():
        raise ValueError(
            f"there is no {what} vocabulary '{path}' (working directory {Path.cwd()}), a text file with an "
            f'{what} a line. {made}'
        )
    lines = [line.strip() for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
    if len(lines) < (count or 1):
        raise ValueError(
            f"the {what} vocabulary '{path}' has {len(lines)} {what}s, {count or 'at least 1'} are needed: "
            f'{few}'
        )
    if len(set(lines)) < len(lines):
        twice = next(line for line in lines if lines.count(line) > 1)
        raise ValueError(f"the {what} vocabulary '{path}' has '{twice}' twice: remove one.")
    return lines[:count]
