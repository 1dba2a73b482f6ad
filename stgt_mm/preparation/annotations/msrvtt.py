"""MSR-VTT: the 1k-A test with 9k or 7k training videos, and the full split.

Source: Xu et al., "MSR-VTT" (CVPR 2016), for the full split; Yu et al., "A Joint Sequence Fusion Model"
(ECCV 2018), for the 1,000 test pairs.
"""

from collections.abc import Iterable
from pathlib import Path

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.captions import Records, listed_records
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.reading import read_json, read_list, read_table, value_of
from stgt_mm.preparation.annotations.video_files import VideoFiles
from stgt_mm.progress import track

SUFFIX = '.mp4'
# people have the two original files, or one with both
TRAIN_VAL = ('MSRVTT_data.json', 'train_val_videodatainfo.json')
TEST = ('MSRVTT_data.json', 'test_videodatainfo.json')
NEEDS = {
    'train_9k': (('MSRVTT_train.9k.csv',), TRAIN_VAL, TEST),
    'train_7k': (('MSRVTT_train.7k.csv',), TRAIN_VAL),
    'test_1ka': (('MSRVTT_JSFUSION_test.csv',),),
    'train_full': (TRAIN_VAL,),
    'val_full': (TRAIN_VAL,),
    'test_full': (TEST,),
}
# what the JSON calls the full split
FULL = {'train_full': 'train', 'val_full': 'validate', 'test_full': 'test'}
PUBLISHED = dict(train_9k=9000, train_7k=7010, test_1ka=1000, train_full=6513, val_full=497, test_full=2990)


def read_splits(chosen: dict[str, list[Path]], files: VideoFiles, notes: Notes) -> dict[str, Records]:
    """Makes the records of each split from its files; a training list that holds test videos is refused."""
    json_files = sorted({path for paths in chosen.values() for path in paths if path.suffix == '.json'})
    captions, full_splits = read_captions(json_files)
    splits = {}
    for split, paths in chosen.items():
        if split == 'test_1ka':
            splits[split] = _read_test_pairs(paths[0], files, notes)
            continue
        names = full_splits.get(FULL[split], []) if split in FULL else _read_names(paths[0], captions)
        splits[split] = listed_records({name: name for name in names}, captions, files, notes)
    videos = {split: {record['video_id'] for record in records} for split, records in splits.items()}
    for train, test in (('train_9k', 'test_1ka'), ('train_7k', 'test_1ka'), ('train_full', 'test_full')):
        shared = sorted(videos.get(train, set()) & videos.get(test, set()))
        if shared:
            folder = chosen[train][0].parent
            raise AnnotationError(
                f"'{folder}': {len(shared)} videos are in both {train} and {test}: {', '.join(shared[:3])}. "
                'The lists do not belong together; fetch them again.'
            )
    return splits


def read_captions(paths: Iterable[Path]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Reads JSON files ``{videos: [{video_id, split}], sentences: [{video_id, caption}]}``.

    Returns the captions of each video, and the videos of each part of the full split, both in file order.
    """
    captions: dict[str, list[str]] = {}
    full_splits: dict[str, list[str]] = {}
    for path in paths:
        content = read_json(path, dict)
        for number, video in enumerate(value_of(content, 'videos', str(path), list)):
            place = f'{path}, videos[{number}]'
            video_id = value_of(video, 'video_id', place)
            if video_id in captions:
                raise AnnotationError(f"{place}: video_id '{video_id}' is there twice. Remove one.")
            captions[video_id] = []
            full_splits.setdefault(value_of(video, 'split', place), []).append(video_id)
        sentences = value_of(content, 'sentences', str(path), list)
        for number, sentence in enumerate(track(sentences, path.name)):
            place = f'{path}, sentences[{number}]'
            video_id = value_of(sentence, 'video_id', place)
            if video_id not in captions:
                raise AnnotationError(f"{place}: video_id '{video_id}' is not among the videos. Correct it.")
            captions[video_id].append(value_of(sentence, 'caption', place))
    return captions, full_splits


def _read_names(path: Path, captions: dict[str, list[str]]) -> list[str]:
    names = read_list(path, header='video_id')
    for name, (line, _) in names.items():
        if name not in captions:
            raise AnnotationError(
                f"{path}:{line}: '{name}' is in none of the JSON files. Put the missing one beside it: "
                f'{TRAIN_VAL[0]}, or {TRAIN_VAL[1]} and {TEST[1]}.'
            )
    return list(names)


def _read_test_pairs(path: Path, files: VideoFiles, notes: Notes) -> Records:
    """Makes a record a line: the sentence belongs to the test, and is not one of the JSON's captions."""
    records = {}
    for line, row in read_table(path, ('key', 'video_id', 'sentence')):
        key, name, text = (value.strip() for value in row.values())
        if not key or not name or key in records:
            raise AnnotationError(
                f"{path}:{line}: key '{key}' and video_id '{name}': both are needed, and each key once. "
                'Correct the line.'
            )
        if notes.accepts(text, f'{path}:{line}'):
            records[key] = {'video': files.path_of(name), 'video_id': name, 'text': text, 'text_id': key}
    return list(records.values())
