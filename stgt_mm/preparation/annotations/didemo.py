"""DiDeMo: one paragraph a video, all descriptions of its moments in file order.

Source: Hendricks et al., "Localizing Moments in Video with Natural Language" (ICCV 2017); the lists of
videos that could still be fetched are those of Liu et al., "Collaborative Experts" (BMVC 2019).
"""

from collections.abc import Sequence
from pathlib import Path

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.common import NO_WORD, Notes, bar, has_word
from stgt_mm.preparation.annotations.reading import read_json, read_list, value_of
from stgt_mm.preparation.annotations.splits import UNCAPTIONED, Records, caption_records, choose_splits
from stgt_mm.preparation.annotations.video_files import VideoFiles, stem_of

SUFFIX = '.mp4'
NEEDS = {
    split: ((f'{split}_data.json',), (f'ce_{split}_list.txt', f'{split}_list.txt'))
    for split in ('train', 'val', 'test')
}
PUBLISHED = {'train': 8392, 'val': 1065, 'test': 1004}


def read_paragraphs(path: str | Path, notes: Notes) -> dict[str, str]:
    """Joins the descriptions of each video.

    Args:
        path: JSON list of moments ``{video, description, ...}``.
        notes: Gets the descriptions without a word.

    Returns:
        For each video, named without extension, its descriptions in file order with a blank between.

    Raises:
        AnnotationError: If the file has another form.
    """
    path = Path(path)
    sentences: dict[str, list[str]] = {}
    for place, moment in enumerate(bar(read_json(path, list), path.name)):
        where = f'{path}, entry {place}'
        description = value_of(moment, 'description', where)
        stem = stem_of(value_of(moment, 'video', where))
        if has_word(description):
            sentences.setdefault(stem, []).append(description.strip())
        else:
            notes.add(NO_WORD, where)
    return {stem: ' '.join(parts) for stem, parts in sentences.items()}


def read_splits(
    source: str | Path, wanted: Sequence[str] | None, files: VideoFiles, notes: Notes
) -> dict[str, Records]:
    """Reads the annotation files of DiDeMo.

    Lists and JSON give one video different extensions; they are matched without them.

    Args:
        source: Folder with ``<split>_data.json`` and the lists ``ce_<split>_list.txt``.
        wanted: ``train``, ``val``, ``test``; None for all that the files allow.
        files: Where the videos are.
        notes: What was met on the way.

    Returns:
        Records of each split, one a video.

    Raises:
        AnnotationError: If something in a file is wrong, or a list names a video twice.
    """
    splits: dict[str, Records] = {}
    for split, (moments, names) in choose_splits(source, NEEDS, wanted, notes).items():
        paragraphs = read_paragraphs(moments, notes)
        lines: dict[str, int] = {}
        splits[split] = []
        for name, line in read_list(names).items():
            stem = stem_of(name)
            if stem in lines:
                raise AnnotationError(
                    f"{names}:{line}: '{stem}' is already on line {lines[stem]}. Remove one."
                )
            lines[stem] = line
            if stem not in paragraphs:
                notes.add(UNCAPTIONED, f'{name} ({names}:{line})')
                continue
            splits[split].extend(caption_records(files.path_of(stem), stem, [paragraphs[stem]], notes))
        for stem in sorted(paragraphs.keys() - lines.keys()):
            notes.add(f'videos of {moments.name} that are not in {names.name}, left out', stem)
    return splits
