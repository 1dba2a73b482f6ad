"""What is left of an evaluation set when videos that cannot be decoded are left out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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
