"""MSR-VTT: the 1k-A test with 9k or 7k training videos, and the full split.

Source: Xu et al., "MSR-VTT" (CVPR 2016), for the full split; Yu et al., "A Joint Sequence Fusion Model"
(ECCV 2018), for the 1,000 test pairs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.common import NO_WORD, Notes, bar, has_word
from stgt_mm.preparation.annotations.reading import read_json, read_list, read_table, value_of
from stgt_mm.preparation.annotations.splits import UNCAPTIONED, Records, caption_records, choose_splits
from stgt_mm.preparation.annotations.video_files import VideoFiles

SUFFIX = '.mp4'
TEST_CSV = 'MSRVTT_JSFUSION_test.csv'
# people have the two original files, or one with both
TRAIN_VAL = ('MSRVTT_data.json', 'train_val_videodatainfo.json')
TEST = ('MSRVTT_data.json', 'test_videodatainfo.json')
NEEDS = {
    'train_9k': (('MSRVTT_train.9k.csv',), TRAIN_VAL, TEST),
    'train_7k': (('MSRVTT_train.7k.csv',), TRAIN_VAL),
    'test_1ka': ((TEST_CSV,),),
    'train_full': (TRAIN_VAL,),
    'val_full': (TRAIN_VAL,),
    'test_full': (TEST,),
}
# what the JSON calls the full split
FULL = {'train_full': 'train', 'val_full': 'validate', 'test_full': 'test'}
PUBLISHED = {
    'train_9k': 9000,
    'train_7k': 7010,
    'test_1ka': 1000,
    'train_full': 6513,
    'val_full': 497,
    'test_full': 2990,
}


class Captions:
    """The captions of one or several JSON files.

    Attributes:
        texts: For each video its captions in file order.
        splits: For each part of the full split its videos in file order.

    Args:
        paths: JSON files ``{info, videos: [{video_id, split}], sentences: [{video_id, caption}]}``.

    Raises:
        AnnotationError: If a file has another form, or a caption belongs to no video.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.texts: dict[str, list[str]] = {}
        self.splits: dict[str, list[str]] = {}
        for path in paths:
            self._add(path, read_json(path, dict))

    def _add(self, path: Path, content: dict[str, Any]) -> None:
        for place, video in enumerate(value_of(content, 'videos', str(path), list)):
            where = f'{path}, videos[{place}]'
            video_id = value_of(video, 'video_id', where)
            if video_id in self.texts:
                raise AnnotationError(f"{where}: video_id '{video_id}' is there twice. Remove one.")
            self.texts[video_id] = []
            self.splits.setdefault(value_of(video, 'split', where), []).append(video_id)
        sentences = value_of(content, 'sentences', str(path), list)
        for place, sentence in enumerate(bar(sentences, path.name)):
            where = f'{path}, sentences[{place}]'
            video_id = value_of(sentence, 'video_id', where)
            if video_id not in self.texts:
                raise AnnotationError(f"{where}: video_id '{video_id}' is not among the videos. Correct it.")
            self.texts[video_id].append(value_of(sentence, 'caption', where))


def read_splits(
    source: str | Path, wanted: Sequence[str] | None, files: VideoFiles, notes: Notes
) -> dict[str, Records]:
    """Reads the annotation files of MSR-VTT.

    Args:
        source: Folder with ``MSRVTT_data.json`` or the two original JSON files, and the CSV lists.
        wanted: Keys of :data:`NEEDS`; None for all that the files allow.
        files: Where the videos are.
        notes: What was met on the way.

    Returns:
        Records of each split.

    Raises:
        AnnotationError: If something in a file is wrong, or a training list holds videos of the test.
    """
    chosen = choose_splits(source, NEEDS, wanted, notes)
    captions = Captions(
        sorted({path for paths in chosen.values() for path in paths if path.suffix == '.json'})
    )
    splits = {}
    for split, paths in chosen.items():
        if split == 'test_1ka':
            splits[split] = _read_test(paths[0], files, notes)
            continue
        full = captions.splits.get(FULL.get(split, ''), [])
        names = full if split in FULL else _read_names(paths[0], captions)
        splits[split] = _records(names, captions, files, notes)
    _refuse_overlap(splits, source)
    return splits


def _read_names(path: Path, captions: Captions) -> list[str]:
    names = read_list(path, header='video_id')
    for name, line in names.items():
        if name not in captions.texts:
            raise AnnotationError(
                f"{path}:{line}: '{name}' is in none of the JSON files. Put the missing one beside it: "
                f'{TRAIN_VAL[0]}, or {TRAIN_VAL[1]} and {TEST[1]}.'
            )
    return list(names)


def _records(names: Sequence[str], captions: Captions, files: VideoFiles, notes: Notes) -> Records:
    records = []
    for name in names:
        if not captions.texts[name]:
            notes.add(UNCAPTIONED, name)
        records.extend(caption_records(files.path_of(name), name, captions.texts[name], notes))
    return records


def _read_test(path: Path, files: VideoFiles, notes: Notes) -> Records:
    records: dict[str, dict[str, Any]] = {}
    for line, row in read_table(path, ('key', 'video_id', 'sentence')):
        key, name, text = (value.strip() for value in row.values())
        if not key or not name or key in records:
            raise AnnotationError(
                f"{path}:{line}: key '{key}' and video_id '{name}': both are needed, and each key once. "
                'Correct the line.'
            )
        if has_word(text):
            records[key] = {'video': files.path_of(name), 'video_id': name, 'text': text, 'text_id': key}
        else:
            notes.add(NO_WORD, f'{path}:{line}')
    return list(records.values())


def _refuse_overlap(splits: dict[str, Records], source: str | Path) -> None:
    videos = {split: {record['video_id'] for record in records} for split, records in splits.items()}
    pairs = [('train_9k', 'test_1ka'), ('train_7k', 'test_1ka'), ('train_full', 'test_full')]
    for train, test in pairs:
        both = sorted(videos.get(train, set()) & videos.get(test, set()))
        if both:
            raise AnnotationError(
                f"'{source}': {len(both)} videos are in both {train} and {test}: {', '.join(both[:3])}. The "
                'lists do not belong together; fetch them again.'
            )
