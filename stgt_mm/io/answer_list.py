"""Closed vocabularies of question answering: a text file with an answer a line."""

from pathlib import Path

_BUILD = 'python tools/dataset_converters/build_answers.py TRAIN.jsonl'


def read_answers(location: str, count: int | None = None) -> list[str]:
    """Reads the first ``count`` answers, or all, of a text file with an answer a line.

    A ValueError if it is missing, empty, too short, or has an answer twice.
    """
    path = Path(location).expanduser()
    if not path.is_file():
        raise ValueError(
            f"there is no answer vocabulary '{path}' (working directory {Path.cwd()}), a text file with an "
            f'answer a line. Make it: {_BUILD} {path}'
        )
    lines = [line.strip() for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
    if len(lines) < (count or 1):
        raise ValueError(
            f"the answer vocabulary '{path}' has {len(lines)} answers, {count or 'at least 1'} are needed: "
            f'make it of more training answers: {_BUILD} {path}, or lower num_answers.'
        )
    if len(set(lines)) < len(lines):
        twice = next(line for line in lines if lines.count(line) > 1)
        raise ValueError(f"the answer vocabulary '{path}' has '{twice}' twice: remove one.")
    return lines[:count]
