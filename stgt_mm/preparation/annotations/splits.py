"""From the files of a data set to one annotation file a split."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.common import NO_WORD, Notes, has_word, note_repeats, save
from stgt_mm.preparation.annotations.video_files import VideoFiles

Records = list[dict[str, Any]]
Needs = Mapping[str, Sequence[tuple[str, ...]]]
UNCAPTIONED = 'videos of a list without a caption, left out'


def choose_splits(
    source: str | Path, needs: Needs, wanted: Sequence[str] | None, notes: Notes
) -> dict[str, list[Path]]:
    """Says which splits the files that are there allow, and from which files.

    Args:
        source: Folder of the data set's files.
        needs: For each split what it is made of: tuples of file names, any one of a tuple will do.
        wanted: Splits to make, all of them; None makes those that can be made.
        notes: Gets the splits that cannot.

    Returns:
        For each split to make its files, in the order of ``needs``.

    Raises:
        FileNotFoundError: If ``source`` is no folder, a wanted split lacks a file, or none can be made.
        ValueError: If a wanted split is unknown.
    """
    source = Path(source)
    if not source.is_dir():
        what = (
            'is a file; name the folder that it is in'
            if source.is_file()
            else 'is not there; correct the path'
        )
        raise FileNotFoundError(f"'{source}' {what} (working directory {Path.cwd()}).")
    unknown = [split for split in wanted or () if split not in needs]
    if unknown:
        raise ValueError(f"no split '{unknown[0]}'. There are: {', '.join(needs)}.")
    chosen = {}
    for split in wanted or needs:
        found = [next((source / n for n in names if (source / n).is_file()), None) for names in needs[split]]
        if None not in found:
            chosen[split] = found
            continue
        lacking = [
            ' or '.join(names) for names, file in zip(needs[split], found, strict=True) if file is None
        ]
        if wanted:
            raise FileNotFoundError(
                f"{split}: no {', no '.join(lacking)} in '{source}'. Fetch it: see docs/datasets.md."
            )
        notes.add('of the splits not made, for want of a file', f'{split} (no {", no ".join(lacking)})')
    if not chosen:
        raise FileNotFoundError(
            f"nothing to convert in '{source}': {'; '.join(notes.examples.popitem()[1])}. "
            'docs/datasets.md says what to fetch.'
        )
    return chosen


def caption_records(
    path: str, video_id: str, captions: Iterable[str], notes: Notes
) -> Iterator[dict[str, Any]]:
    """Makes the records of a video.

    Args:
        path: Video file.
        video_id: Its id.
        captions: Its captions in the order of the source.
        notes: Gets the captions without a word.

    Yields:
        One record a caption; ``text_id`` says which of the source's captions it is.
    """
    for number, caption in enumerate(captions):
        text_id = f'{video_id}#{number}'
        if not has_word(caption):
            notes.add(NO_WORD, text_id)
            continue
        yield {'video': path, 'video_id': video_id, 'text': caption.strip(), 'text_id': text_id}


def write_splits(
    splits: Mapping[str, Records],
    out: str | Path,
    files: VideoFiles,
    notes: Notes,
    published: Mapping[str, int],
) -> list[str]:
    """Writes the annotation files; all splits are checked before the first is written.

    Args:
        splits: Records of each split.
        out: Folder to write ``<split>.jsonl`` to.
        files: What the paths of the records were asked of.
        notes: What was met on the way.
        published: Number of videos of each split in the literature, where it is known.

    Returns:
        Lines to print: what was written, what was met, what is assumed.

    Raises:
        AnnotationError: If a split has no record.
        MissingVideosError: If videos were looked for and none was found.
    """
    for split, records in splits.items():
        if not records:
            met = '; '.join(notes.lines())
            raise AnnotationError(f'{split}: no record is left. Do the files belong together? Met: {met}')
        note_repeats(records, split, notes)
    files.check(notes)
    lines = []
    for split, records in splits.items():
        names = {record['video_id'] for record in records}
        line = save(records, Path(out) / f'{split}.jsonl')
        if published.get(split, len(names)) != len(names):
            line += f' (published: {published[split]:,} videos)'
        if files.missing & names:
            line += f', {len(files.missing & names):,} of them missing'
        lines.append(line)
    lines += [f'note: {line}' for line in notes.lines()]
    if files.root is None:
        lines.append(
            f'note: paths end in {files.suffix}; --video-root finds the real files, --suffix assumes another'
        )
    return lines
