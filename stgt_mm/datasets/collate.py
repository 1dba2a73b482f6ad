"""From samples to a batch."""

from collections.abc import Sequence
from typing import Any

import torch

from stgt_mm.registry import FUNCTIONS


@FUNCTIONS.register_module()
def video_text_collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stacks clips and lists what is known of them.

    Args:
        samples: B samples: ``inputs`` uint8 (T, 3, H, W), cached tokens (T, 1 + N, C), or None for a clip
            that could not be read; ``data_samples``.

    Returns:
        ``inputs``: shape (B', T, 3, H, W) or (B', T, 1 + N, C), the readable clips in order, None if there is
            none;
        ``data_samples``: their B' samples; and, only if some could not be read, ``broken``: the samples of
            those, with the reason in their meta information as ``broken``.

    Raises:
        ValueError: If the clips differ in shape.
    """
    readable = [sample for sample in samples if sample['inputs'] is not None]
    batch = {
        'inputs': _stack(readable) if readable else None,
        'data_samples': [sample['data_samples'] for sample in readable],
    }
    if len(readable) < len(samples):
        batch['broken'] = [sample['data_samples'] for sample in samples if sample['inputs'] is None]
    return batch


def _stack(samples: Sequence[dict[str, Any]]) -> torch.Tensor:
    first = samples[0]
    for sample in samples:
        if sample['inputs'].shape != first['inputs'].shape:
            raise ValueError(
                f"'{first['data_samples'].video}' gives {tuple(first['inputs'].shape)} and "
                f"'{sample['data_samples'].video}' {tuple(sample['inputs'].shape)}: clips of one batch need "
                "one shape. End the pipeline with dict(type='Resize', size=...); for sources that differ in "
                "frames, set train_dataloader.batch_sampler=dict(type='SourceBatchSampler')."
            )
    return torch.stack([sample['inputs'] for sample in samples])
