"""HMDB51: 51 actions, three official splits of a file each an action, which marks its videos.

Source: Kuehne et al., "HMDB: a large video database for human motion recognition" (ICCV 2011).
"""

from pathlib import Path

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.actions import action_records
from stgt_mm.preparation.annotations.captions import Records
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.reading import read_list
from stgt_mm.preparation.annotations.video_files import VideoFiles

SUFFIX = '.avi'
ACTIONS = (
    'brush_hair', 'cartwheel', 'catch', 'chew', 'clap', 'climb', 'climb_stairs', 'dive', 'draw_sword',
    'dribble', 'drink', 'eat', 'fall_floor', 'fencing', 'flic_flac', 'golf', 'handstand', 'hit', 'hug',
    'jump', 'kick', 'kick_ball', 'kiss', 'laugh', 'pick', 'pour', 'pullup', 'punch', 'push', 'pushup',
    'ride_bike', 'ride_horse', 'run', 'shake_hands', 'shoot_ball', 'shoot_bow', 'shoot_gun', 'sit', 'situp',
    'smile', 'smoke', 'somersault', 'stand', 'swing_baseball', 'sword', 'sword_exercise', 'talk', 'throw',
    'turn', 'walk', 'wave',
)  # fmt: skip
MARKS = {'train': '1', 'test': '2'}  # 0 is a video that the split does without
PER_ACTION = {'train': 70, 'test': 30}
NEEDS = {
    f'{split}_{n}': tuple((f'{action}_test_split{n}.txt',) for action in ACTIONS)
    for n in (1, 2, 3)
    for split in MARKS
}
PUBLISHED = {name: len(ACTIONS) * PER_ACTION[name.partition('_')[0]] for name in NEEDS}


def read_splits(chosen: dict[str, list[Path]], files: VideoFiles, notes: Notes) -> dict[str, Records]:
    """Makes a record a video of each split, and notes actions that have more or fewer than they should."""
    splits: dict[str, Records] = {}
    for split, paths in chosen.items():
        kind, videos = split.partition('_')[0], {}
        for action, path in zip(ACTIONS, paths):
            own = {
                name: (action, str(path)) for name, mark in read_marks(path).items() if mark == MARKS[kind]
            }
            if len(own) != PER_ACTION[kind]:
                notes.add(f'actions without {PER_ACTION[kind]} videos in {split}', f'{action} ({len(own)})')
            videos |= own
        splits[split] = action_records(videos, files)
    return splits


def read_marks(path: Path) -> dict[str, str]:
    """Reads lines ``name.avi 1``: the mark of each video, 0, 1 or 2."""
    marks = {}
    for name, (number, line) in read_list(path, name_of=lambda line: line.rpartition(' ')[0].strip()).items():
        marks[name] = line.rpartition(' ')[2]
        if marks[name] not in ('0', '1', '2') or not name:
            raise AnnotationError(
                f"{path}:{number}: '{line}' is no name of a video and a mark, 0 (unused), 1 (training) or 2 "
                '(test). Correct it, or fetch the file again.'
            )
    return marks
