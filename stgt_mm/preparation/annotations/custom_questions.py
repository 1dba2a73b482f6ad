"""Annotation files with questions and answers from the lists that people have: CSV and JSON."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.captions import Records
from stgt_mm.preparation.annotations.custom import table_rows, video_of, video_path, worded
from stgt_mm.preparation.annotations.reading import read_json
from stgt_mm.progress import track

_KEPT = ('video_id', 'question_id', 'question_type')


def questions_from(source: str | Path) -> Records:
    """Makes records from a ``.csv`` file with the columns ``video,question,answer``, or from a JSON list.

    An entry of the list has a video, and a question with its answer or a list of answers, or ``qa``, a list
    of such pairs. Those without a question are left out.
    """
    source = Path(source)
    if not source.is_file():
        raise FileNotFoundError(f"no file '{source}' (working directory {Path.cwd()}).")
    readers = {'.csv': _from_csv, '.json': _from_json}
    if source.suffix.lower() not in readers:
        raise AnnotationError(f"'{source}' is neither a .csv nor a .json file, the forms of questions.")
    records = [
        {'video': video, **{key: entry[key] for key in _KEPT if entry.get(key)}, **_words(entry, place)}
        for place, video, entry in readers[source.suffix.lower()](source)
    ]
    if not records:
        raise AnnotationError(f"'{source}' has no question.")
    return records


def _from_csv(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for place, row in table_rows(path, ('video', 'question', 'answer')):
        yield place, video_path(row['video'], place), row


def _from_json(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for number, entry in enumerate(track(read_json(path, list), path.name)):
        place = f'{path}, entry {number}'
        pairs = entry.get('qa', [entry]) if isinstance(entry, dict) else [None]
        for pair in pairs or ():
            if not isinstance(pair, dict):
                raise AnnotationError(f'{place}: {pair!r} is not an object with "question" and "answer".')
            if pair.get('question') is not None:
                yield place, video_of(entry, place), pair


def _words(entry: dict[str, Any], place: str) -> dict[str, Any]:
    question, answer = worded(entry['question'], 'question', place), entry.get('answer')
    if isinstance(answer, list) and answer:
        return {'question': question, 'answers': [worded(one, 'answer', place) for one in answer]}
    return {'question': question, 'answer': worded(answer, 'answer', place)}
