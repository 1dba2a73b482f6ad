"""UCF101: 101 actions, three official splits of ``trainlist0N.txt`` and ``testlist0N.txt``.

Source: Soomro et al., "UCF101" (arXiv 1212.0402), "Train/Test Splits for Action Recognition".
"""

from pathlib import Path

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.actions import action_records, refuse_common
from stgt_mm.preparation.annotations.captions import Records
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.reading import read_lines, read_list
from stgt_mm.preparation.annotations.video_files import VideoFiles

SUFFIX = '.avi'
CLASSES = 'classInd.txt'
# both lists for each, so that they can be compared
NEEDS = {
    f'{split}_{n}': ((f'{split}list0{n}.txt',), (f'{other}list0{n}.txt',), (CLASSES,))
    for n in (1, 2, 3)
    for split, other in (('train', 'test'), ('test', 'train'))
}
PUBLISHED = {
    'train_1': 9537, 'test_1': 3783, 'train_2': 9586, 'test_2': 3734, 'train_3': 9624, 'test_3': 3696,
}  # fmt: skip


def read_splits(chosen: dict[str, list[Path]], files: VideoFiles, notes: Notes) -> dict[str, Records]:
    """Makes a record a video of each split; its action is the folder that it is in."""
    splits = {}
    for split, (own, other, classes) in chosen.items():
        numbers = read_classes(classes)
        listed, others = read_split_list(own, numbers), read_split_list(other, numbers)
        refuse_common(*((listed, others) if split.startswith('train') else (others, listed)))
        splits[split] = action_records(listed, files)
    return splits


def read_classes(path: Path) -> dict[str, str]:
    """Reads lines ``1 ApplyEyeMakeup``: the number, as text, of each action."""
    entries = read_list(path, name_of=lambda line: line.rpartition(' ')[2])
    return {name: line.rpartition(' ')[0].strip() for name, (_, line) in entries.items()}


def read_split_list(path: Path, numbers: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Reads lines ``Action/v_Action_g01_c01.avi``, in training with the action's number behind.

    Returns for each file name its action, and its place for messages.
    """
    videos: dict[str, tuple[str, str]] = {}
    for number, line in read_lines(path):
        place, (entry, _, label) = f'{path}:{number}', line.strip().partition(' ')
        if not entry:
            continue
        action, _, name = entry.rpartition('/')
        if action not in numbers:
            raise AnnotationError(
                f"{place}: '{entry}' is in no folder of an action of {CLASSES}, which has {len(numbers)}. "
                "'ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi' was expected."
            )
        if label and label.strip() != numbers[action]:
            raise AnnotationError(
                f"{place}: '{action}' is number {label.strip()} here and {numbers[action]} in {CLASSES}. "
                'Take both files from one download.'
            )
        if name in videos:
            raise AnnotationError(f"{place}: '{name}' is already at {videos[name][1]}. Remove one.")
        videos[name] = action, place
    return videos
