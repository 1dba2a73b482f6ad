"""From the files of a data set to annotation files: one a split, or one of a list that people download by."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from stgt_mm.datasets.records import AnnotationError, MissingVideosError, read_records, write_records
from stgt_mm.datasets.video_root import VideoFolder
from stgt_mm.preparation.annotations.captions import Records
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.video_files import VideoFiles
from stgt_mm.utils import did_you_mean

REPEATED = '{} of {} repeat one of the same video, kept'
ABSENT = 'lines whose file is not there, left out'
MOST_LACKING = 3
FEWER = 'list ends before --max-videos'


def choose_splits(
    source: str | Path,
    needs: Mapping[str, Sequence[tuple[str, ...]]],
    wanted: Sequence[str] | None,
    notes: Notes,
) -> dict[str, list[Path]]:
    """Says which splits the files of a folder allow, and from which files, in the order of ``needs``.

    ``needs`` has for each split tuples of file names, any one of a tuple will do. All of ``wanted`` must be
    possible; without it, splits that are not are noted.
    """
    source = Path(source)
    if not source.is_dir():
        what = 'is not there; correct the path'
        if source.is_file():
            what = 'is a file; name the folder that it is in'
        raise FileNotFoundError(f"'{source}' {what} (working directory {Path.cwd()}).")
    chosen = {}
    for split in wanted or needs:
        if split not in needs:
            raise ValueError(f"no split '{split}'. There are: {', '.join(needs)}.")
        found = [next((source / n for n in names if (source / n).is_file()), None) for names in needs[split]]
        lacking = [f'no {" or ".join(names)}' for names, file in zip(needs[split], found) if file is None]
        if len(lacking) > MOST_LACKING:
            lacking[MOST_LACKING:] = [f'and {len(lacking) - MOST_LACKING} more']
        if not lacking:
            chosen[split] = found
        elif wanted:
            raise FileNotFoundError(
                f"{split}: {', '.join(lacking)} in '{source}'. Fetch it: see docs/datasets.md."
            )
        else:
            notes.add('of the splits not made, for want of a file', f'{split} ({", ".join(lacking)})')
    if not chosen:
        raise FileNotFoundError(
            f"nothing to convert in '{source}': {'; '.join(notes.examples.popitem()[1])}. "
            'docs/datasets.md says what to fetch.'
        )
    return chosen


def write_splits(
    splits: Mapping[str, Records],
    out: str | Path,
    files: VideoFiles,
    notes: Notes,
    published: Mapping[str, int],
    subject: str = 'text',
) -> list[str]:
    """Writes ``<split>.jsonl`` of each split into ``out``, once all of them are known to be good.

    ``published`` is the number of videos of a split in the literature, or of questions where ``subject`` is
    ``'question'``. Returns lines to print: what was written, what was met, what is assumed.
    """
    for split, records in splits.items():
        if not records:
            met = '; '.join(notes.lines())
            raise AnnotationError(f'{split}: no record is left. Do the files belong together? Met: {met}')
        _note_repeats(records, split, subject, notes)
    files.report(notes)
    lines = []
    for split, records in splits.items():
        path = Path(out) / f'{split}.jsonl'
        texts = write_records(records, path)
        # as a data set will: an id that means two texts is an error now
        read_records(path, ('video', subject))
        videos = {record['video_id'] for record in records}
        line = f'{path}: {texts:,} {subject}s of {len(videos):,} videos'
        if subject == 'action':
            line = f'{path}: {len(videos):,} videos'
        unit, count = ('questions', texts) if subject == 'question' else ('videos', len(videos))
        if published.get(split, count) != count:
            line += f' (published: {published[split]:,} {unit})'
        if files.missing & videos:
            line += f', {len(files.missing & videos):,} of them missing'
        lines.append(line)
    lines += [f'note: {line}' for line in notes.lines()]
    if files.root is None:
        lines.append(
            f'note: paths end in {files.suffix}; --video-root finds the real files, --suffix assumes another'
        )
    return lines


def _note_repeats(records: Records, split: str, subject: str, notes: Notes) -> None:
    seen = set()
    what = REPEATED.format('captions' if subject == 'text' else f'{subject}s', split)
    for record in records:
        pair = record['video_id'], record[subject]
        if pair in seen:
            notes.add(what, f'{pair[0]} {pair[1]!r}')
        seen.add(pair)


def convert_list(
    read: Callable[[Notes], Iterator[dict[str, Any]]],
    out: str | Path,
    root: str | Path | None = None,
    max_videos: int | None = None,
) -> list[str]:
    """Writes the annotation file of a downloaded list record by record, whole or not at all.

    ``read`` gives the records and notes what its user should know; with ``root``, records whose file is not
    below it are left out. Returns lines to print: what was met and what was written.
    """
    if max_videos is not None and max_videos < 1:
        raise ValueError(f'--max-videos {max_videos}: at least one.')
    notes = Notes()
    records = read(notes)
    if root is not None:
        records = _downloaded(records, Path(root), notes)
    if max_videos is not None:
        records = _first_videos(records, max_videos, notes)
    first = next(records, None)
    if first is None:
        met = '; '.join(notes.lines()) or 'the file holds no entry'
        raise AnnotationError(f"nothing to write to '{out}': {met}.")
    count = write_records(chain([first], records), out)
    check = f'python tools/dataset_converters/verify_dataset.py {out} {root or "FOLDER"}'
    return [*notes.lines(), f'{out}: {count:,} lines', f'Unreadable files are found by: {check}']


def _downloaded(records: Iterable[dict[str, Any]], root: Path, notes: Notes) -> Iterator[dict[str, Any]]:
    """Leaves out records whose file was not downloaded; some of a web set always are.

    Asking the system for each of 10 million files takes hours on a network disk, and their names a
    gigabyte; so each sub-folder is listed once, as sorted 64-bit hashes. Two names with one hash are
    expected once in a million sets of that size.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"no folder '{root}' (working directory {Path.cwd()}).")
    files, listings = VideoFolder(root), {}
    found = False
    for record in records:
        folder, _, name = record['video'].rpartition('/')
        if folder not in listings:
            listings[folder] = files.name_hashes(folder)
        hashes = listings[folder]
        place = int(np.searchsorted(hashes, hash(name)))
        if place < len(hashes) and int(hashes[place]) == hash(name):
            found = True
            yield record
        else:
            notes.add(ABSENT, record['video'])
    if not found and ABSENT in notes.counts:
        raise MissingVideosError(
            f"no file of {notes.counts[ABSENT]:,} lines is below '{root}'. Looked for, among others: "
            f'{", ".join(notes.examples[ABSENT])}. Correct the folder, or name the --layout.'
        )


def _first_videos(records: Iterable[dict[str, Any]], limit: int, notes: Notes) -> Iterator[dict[str, Any]]:
    """Ends after a number of videos without reading on; lines of one video follow each other."""
    count, last = 0, None
    for record in records:
        if record['video'] != last:
            if count == limit:
                return
            count, last = count + 1, record['video']
        yield record
    if count < limit:
        notes.add(FEWER, f'{count:,} of {limit:,} videos')


def layout_pattern(layout: str, known: Mapping[str, str], example: Mapping[str, Any]) -> str:
    """Returns the format string of file paths that a layout stands for, like ``'{folder}/{id}.mp4'``.

    ``layout`` is a key of ``known`` or such a string; ``example`` has a value for each field that it may use.
    """
    pattern = known.get(layout, layout)
    try:
        if pattern.format(**example) != pattern:
            return pattern
        why = f'names the same file for every line. {did_you_mean(layout, known)}'
    except KeyError as error:
        why = f'no field is called {{{error.args[0]}}}. {did_you_mean(str(error.args[0]), example)}'
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        why = str(error)
    parts = ', '.join([*known, *(f'{{{field}}}' for field in example)])
    raise ValueError(f"layout '{layout}': {why} It is made of: {parts}.")
