"""Records of videos with captions, as all sets with a list of videos make them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.video_files import VideoFiles

Records = list[dict[str, Any]]
UNCAPTIONED = 'videos of a list without a caption, left out'


def caption_records(
    path: str, video_id: str, captions: Iterable[str], notes: Notes
) -> Iterator[dict[str, Any]]:
    """Yields a record a caption with a word; ``text_id`` has the number of the caption in the source."""
    for number, caption in enumerate(captions):
        text_id = f'{video_id}#{number}'
        if notes.accepts(caption, text_id):
            yield {'video': path, 'video_id': video_id, 'text': caption.strip(), 'text_id': text_id}


def listed_records(
    listed: Mapping[str, str], captions: Mapping[str, Sequence[str]], files: VideoFiles, notes: Notes
) -> Records:
    """Makes the records of the videos of a list: video ids, and where each stands, for the notes."""
    records: Records = []
    for video_id, place in listed.items():
        if not captions.get(video_id):
            notes.add(UNCAPTIONED, place)
            continue
        path = files.path_of(video_id)
        records.extend(caption_records(path, video_id, captions[video_id], notes))
    return records
