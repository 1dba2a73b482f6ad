"""Questions and answers as MSRVTT-QA, MSVD-QA and LAVIS write them, and the vocabulary of their answers."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.functional.answers import frequent_answers
from stgt_mm.io.whole_file import whole_file
from stgt_mm.preparation.annotations.captions import Records
from stgt_mm.preparation.annotations.notes import has_word
from stgt_mm.preparation.annotations.reading import read_json, value_of
from stgt_mm.preparation.annotations.video_files import VideoFiles, stem_of
from stgt_mm.progress import track

# the file of the authors, or that of LAVIS
NEEDS = {split: ((f'{split}_qa.json', f'qa_{split}.json'),) for split in ('train', 'val', 'test')}


def question_records(path: Path, files: VideoFiles, name_of: Callable[[int, str], str]) -> Records:
    """Makes a record a question of ``[{video_id, question, answer, id}]``, or of LAVIS's list.

    LAVIS writes ``[{video, question, answer, question_id}]``, ``video`` a file name; an answer may be a list.
    ``name_of`` maps the authors' number of a video, and the place of the entry, to the video's id.
    """
    records: Records = []
    places: dict[str, str] = {}
    for number, entry in enumerate(track(read_json(path, list), path.name)):
        place = f'{path}, entry {number}'
        question = value_of(entry, 'question', place)
        if not has_word(question):
            raise AnnotationError(f'{place}: the question {question!r} has no word. Correct or remove it.')
        if 'video_id' in entry:
            video_id, key = name_of(value_of(entry, 'video_id', place, int), place), 'id'
        else:
            video_id, key = stem_of(PurePosixPath(value_of(entry, 'video', place)).name), 'question_id'
        question_id = str(value_of(entry, key, place, int, str))
        if question_id in places:
            raise AnnotationError(
                f"{place}: {key} '{question_id}' ({question!r}) is already that of {places[question_id]}. "
                'Remove one of the two, or fetch the file again.'
            )
        places[question_id] = f'entry {number}'
        record = {'video': files.path_of(video_id), 'video_id': video_id, 'question': question}
        records.append(record | _answers(entry, place) | {'question_id': question_id})
    return records


def _answers(entry: dict[str, Any], place: str) -> dict[str, Any]:
    given = entry.get('answer')
    answers = given if isinstance(given, list) else [given]
    if not answers or not all(isinstance(answer, str) and has_word(answer) for answer in answers):
        raise AnnotationError(
            f'{place}: the question {entry["question"]!r} has no answer ({given!r}). Write one, or remove '
            'the entry.'
        )
    return {'answers': answers} if isinstance(given, list) else {'answer': given}


def write_answers(
    splits: Mapping[str, Iterable[dict[str, Any]]], path: str | Path, size: int | None = None
) -> list[str]:
    """Writes the ``size`` most frequent answers of the first split, or all, one a line, the first first.

    Returns lines to print: how many, and which share of the answers of each split they cover.
    """
    answers = {
        split: [answer for record in records for answer in record.get('answers') or [record['answer']]]
        for split, records in splits.items()
    }
    vocabulary = frequent_answers(next(iter(answers.values())), size)
    path = Path(path)
    with whole_file(path) as partial:
        partial.write_text(''.join(f'{answer}\n' for answer in vocabulary), encoding='utf-8')
    known = set(vocabulary)
    shares = [
        f'{100 * sum(answer in known for answer in own) / len(own):.1f}% of {split}'
        for split, own in answers.items()
    ]
    return [f'{path}: {len(vocabulary):,} answers, which are {", ".join(shares)}']
