"""What takes part in an evaluation, once videos that cannot be decoded are left out, and its encoding."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stgt_mm.evaluation.encode import TextBank, VideoBank
from stgt_mm.evaluation.rerank import RankedScores
from stgt_mm.functional.ranking import Relation


@dataclass
class Gallery:
    """The videos and texts that take part, and how they belong together.

    Attributes:
        videos: Indices into the data set's videos, int64, shape (V,).
        texts: Indices into its texts: those that have at least one video left.
        relation: Texts (queries) to videos (items), counted anew.
        num_broken: Videos left out.
    """

    videos: Tensor
    texts: list[int]
    relation: Relation
    num_broken: int

    @classmethod
    def of(
        cls, text_to_videos: Sequence[Sequence[int]], num_videos: int, broken: Collection[int] = ()
    ) -> 'Gallery':
        """Builds the gallery.

        Args:
            text_to_videos: For each text the indices of its videos.
            num_videos: Videos in the data set.
            broken: Indices of the videos to leave out.

        Returns:
            The gallery.
        """
        videos = [index for index in range(num_videos) if index not in broken]
        place = {index: new for new, index in enumerate(videos)}
        left = {
            text: [place[video] for video in own if video in place] for text, own in enumerate(text_to_videos)
        }
        texts = [text for text, own in left.items() if own]
        relation = Relation.from_lists([left[text] for text in texts])
        return cls(torch.tensor(videos, dtype=torch.int64), texts, relation, num_videos - len(videos))

    def renumber(self, tokens: dict[int, Tensor]) -> dict[int, Tensor]:
        """Renumbers video tokens from the data set's indices to the gallery's.

        Args:
            tokens: Tokens by index in the data set.

        Returns:
            The same tensors by index in the gallery.
        """
        place = {int(index): new for new, index in enumerate(self.videos)}
        return {place[index]: value for index, value in tokens.items()}


@dataclass
class EncodedSplit:
    """A split after encoding: what every protocol can be computed from without the encoders.

    Attributes:
        dataset: The data set.
        gallery: The videos and texts that take part: V and K of them.
        videos: Videos by index in the data set.
        texts: The K texts.
        similarity: Cosines, shape (V, K).
        processed: Post-processed tables of both directions.
    """

    dataset: Dataset
    gallery: Gallery
    videos: VideoBank
    texts: TextBank
    similarity: Tensor
    processed: list[RankedScores] = field(default_factory=list)

    def counts(self) -> dict[str, Any]:
        """Counts what takes part and names what does not.

        Returns:
            ``videos``, ``texts``, ``frames``, ``skipped_videos``, ``skipped_texts``, and, where videos are
            skipped, the ids of both.
        """
        dataset, kept = self.dataset, set(self.gallery.texts)
        lost = [index for index in range(len(dataset.texts)) if index not in kept]
        result = {
            'videos': len(self.gallery.videos),
            'texts': len(kept),
            'frames': self.videos.num_frames,
            'skipped_videos': self.gallery.num_broken,
            'skipped_texts': len(lost),
        }
        if self.videos.broken:
            result['skipped_video_ids'] = [dataset.videos[index]['video_id'] for index in self.videos.broken]
            result['skipped_text_ids'] = [dataset.text_ids[index] for index in lost]
        return result
