"""Clips with a true and a false caption each."""

from typing import Any

from stgt_mm.datasets.retrieval_dataset import RetrievalDataset
from stgt_mm.registry import DATASETS

KEYS = ('video', 'text', 'distractor', 'kind')


@DATASETS.register_module()
class CaptionChoiceDataset(RetrievalDataset):
    """Caption choice: a clip, its true caption and one that is false in a fact; which one scores higher?

    The two-alternative forced choice of psychophysics. A line is ``{"video", "text" (true), "distractor"
    (false), "kind", "reverse"?}``; with ``reverse: true`` the clip is played backwards (the pipeline needs
    ``ReverseTime``). Iterates over unique (video, direction of time) clips; the choices are attributes.

    Attributes:
        videos: Record of each unique clip, V dicts with ``video``, ``video_id`` and, where it is so,
            ``reverse``.
        texts: All unique captions, true and false, K strings.
        triples: For each line ``dict(video, true, false, kind)``: indices into ``videos`` and ``texts``, and
            the kind of fact.

    Args:
        *args: Of :class:`~stgt_mm.datasets.retrieval_dataset.RetrievalDataset`.
        **kwargs: Of the same.

    Raises:
        ValueError: If a record is to be reversed and the pipeline has no ``ReverseTime``, or a distractor
            equals its caption.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, required=KEYS, **kwargs)
        reverses = any(type(step).__name__ == 'ReverseTime' for step in self.transforms)
        if not reverses and any(record.get('reverse', False) for record in self.records):
            raise ValueError(
                f"{self.ann_file} has records with reverse: true, which need dict(type='ReverseTime') after "
                'LoadVideo.'
            )

    def _relate(self, records: list[dict[str, Any]], clip_of: list[int]) -> None:
        places: dict[str, int] = {}
        self.triples: list[dict[str, Any]] = []
        for record, clip in zip(records, clip_of, strict=True):
            true, false = record['text'], record['distractor']
            if true == false:
                raise ValueError(
                    f"{self.ann_file}: text and distractor of '{record['video']}' are both {true!r}. Change "
                    'one.'
                )
            self.triples.append(
                {
                    'video': clip,
                    'true': places.setdefault(true, len(places)),
                    'false': places.setdefault(false, len(places)),
                    'kind': str(record['kind']),
                }
            )
        self.texts = list(places)
        self.text_ids = [str(place) for place in range(len(places))]
        relation: list[set[int]] = [set() for _ in places]
        for triple in self.triples:
            relation[triple['true']].add(triple['video'])
        self.text_to_videos = [sorted(videos) for videos in relation]
