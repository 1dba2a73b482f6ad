"""Records of videos with an action, as UCF101 and HMDB51 list them, and the file of all their actions."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.io.whole_file import whole_file
from stgt_mm.preparation.annotations.captions import Records
from stgt_mm.preparation.annotations.video_files import VideoFiles, stem_of

FILE = 'actions.txt'


def action_records(videos: Mapping[str, tuple[str, str]], files: VideoFiles) -> Records:
    """Makes a record a video: ``videos`` has for each file name its action, and where it is listed."""
    return [
        {'video': files.path_of(stem_of(name), action), 'video_id': stem_of(name), 'action': action}
        for name, (action, _) in videos.items()
    ]


def refuse_common(train: Mapping[str, tuple[str, str]], test: Mapping[str, tuple[str, str]]) -> None:
    """Raises an AnnotationError for a video that is in both lists."""
    if common := sorted(train.keys() & test.keys()):
        raise AnnotationError(
            f"{test[common[0]][1]}: '{common[0]}' is in the training too ({train[common[0]][1]}), with "
            f'{len(common) - 1} others. Take both lists from one download.'
        )


def write_actions(splits: Iterable[Records], folder: str | Path) -> list[str]:
    """Writes the names of all actions in the order of the alphabet; returns lines to print."""
    names = sorted({record['action'] for records in splits for record in records})
    path = Path(folder) / FILE
    with whole_file(path) as partial:
        partial.write_text(''.join(f'{name}\n' for name in names), encoding='utf-8')
    return [f'{path}: {len(names)} actions']
