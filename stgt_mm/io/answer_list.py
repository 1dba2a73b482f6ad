"""Closed vocabularies of question answering: a text file with an answer a line."""

from pathlib import Path


def read_answers(location: str, count: int | None = None) -> list[str]:
    """Reads the first ``count`` answers, or all, of a text file with an answer a line.

    A ValueError if it is missing, empty, too short, or has an answer twice.
    """
    path = Path(location).expanduser()
    if not path.is_file():
        raise ValueError(
            f"there is no answer vocabulary '{path}' (working directory {Path.cwd()}): write a text file, an "
            "answer a line; --answers of a data set's converter does."
        )
    lines = [line.strip() for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
    if len(lines) < (count or 1):
        raise ValueError(
            f"the answer vocabulary '{path}' has {len(lines)} answers, {count or 'at least 1'} are needed: "
            'make it of more training answers (--answers of the converter), or lower num_answers.'
        )
    if len(set(lines)) < len(lines):
        twice = next(line for line in lines if lines.count(line) > 1)
        raise ValueError(f"the answer vocabulary '{path}' has '{twice}' twice: remove one.")
    return lines[:count]
