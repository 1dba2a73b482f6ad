"""The last step of a pipeline: everything packed for the model."""

from collections.abc import Sequence
from typing import Any

from mmcv.transforms import BaseTransform

from stgt_mm.registry import TRANSFORMS
from stgt_mm.structures import VideoTextSample

META_KEYS = (
    'sample_idx', 'video', 'video_id', 'text', 'text_id', 'num_frames', 'frame_indices', 'failed_readers',
    'replaced', 'question', 'question_id', 'question_type', 'answer', 'answers', 'references',
    'action', 'clip_idx', 'noun_phrases',
)  # fmt: skip


@TRANSFORMS.register_module()
class PackVideoText(BaseTransform):
    """Ends a pipeline: ``inputs`` for the model and a :class:`~stgt_mm.structures.VideoTextSample`.

    Args:
        extra_keys: Keys of the record, besides the usual ones, that go into the sample's meta information,
            for example ``('family', 'event')``; ``KeyError`` if a record lacks one.
    """

    is_random = False
    on_frames = False

    def __init__(self, extra_keys: Sequence[str] = ()) -> None:
        self.extra_keys = tuple(extra_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Packs ``tokens`` (T, 1 + N, C) from the feature cache, or else ``frames`` (T, 3, H, W)."""
        metainfo = {key: results[key] for key in META_KEYS if key in results}
        for key in self.extra_keys:
            if key not in results['record']:
                raise KeyError(
                    f"extra_keys names '{key}', which the record of {results['video']} does not have. "
                    f'It has: {", ".join(results["record"])}.'
                )
            metainfo[key] = results['record'][key]
        inputs = results['tokens'] if 'tokens' in results else results['frames']
        return {'inputs': inputs.contiguous(), 'data_samples': VideoTextSample(metainfo=metainfo)}

    def __repr__(self) -> str:
        return f'PackVideoText(extra_keys={self.extra_keys})'
