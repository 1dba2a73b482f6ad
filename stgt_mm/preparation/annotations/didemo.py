"""DiDeMo: one paragraph a video, all descriptions of its moments in file order.

Source: Hendricks et al., "Localizing Moments in Video with Natural Language" (ICCV 2017); the lists of
videos that could still be fetched are those of Liu et al., "Collaborative Experts" (BMVC 2019).
"""

from pathlib import Path

from stgt_mm.preparation.annotations.captions import Records, listed_records
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.reading import read_json, read_list, value_of
from stgt_mm.preparation.annotations.video_files import VideoFiles, stem_of
from stgt_mm.progress import track

SUFFIX = '.mp4'
NEEDS = {
    split: ((f'{split}_data.json',), (f'ce_{split}_list.txt', f'{split}_list.txt'))
    for split in ('train', 'val', 'test')
}
PUBLISHED = {'train': 8392, 'val': 1065, 'test': 1004}


def read_splits(chosen: dict[str, list[Path]], files: VideoFiles, notes: Notes) -> dict[str, Records]:
    """Makes one record a video; lists and JSON give it different extensions and are matched without them."""
    splits = {}
    for split, (moments, names) in chosen.items():
        paragraphs = read_paragraphs(moments, notes)
        entries = read_list(names, name_of=stem_of)
        listed = {stem: f'{name} ({names}:{line})' for stem, (line, name) in entries.items()}
        splits[split] = listed_records(listed, paragraphs, files, notes)
        for stem in sorted(paragraphs.keys() - listed.keys()):
            notes.add(f'videos of {moments.name} that are not in {names.name}, left out', stem)
    return splits


def read_paragraphs(path: Path, notes: Notes) -> dict[str, list[str]]:
    """Joins the descriptions of each video in a JSON list of moments ``{video, description, ...}``."""
    sentences: dict[str, list[str]] = {}
    for number, moment in enumerate(track(read_json(path, list), path.name)):
        place = f'{path}, entry {number}'
        description = value_of(moment, 'description', place)
        stem = stem_of(value_of(moment, 'video', place))
        if notes.accepts(description, place):
            sentences.setdefault(stem, []).append(description.strip())
    return {stem: [' '.join(parts)] for stem, parts in sentences.items()}
