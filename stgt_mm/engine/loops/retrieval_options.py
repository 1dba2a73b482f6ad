"""Options of evaluation loops: precision, clips that are missing or broken, the calibrated weight."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from stgt_mm.datasets.readers.shards import file_stamp
from stgt_mm.datasets.samplers import EpochSampler
from stgt_mm.evaluation.encode import BrokenVideosError

FUSION_WEIGHT = 'fusion_weight'


def autocast_dtype(amp: bool | str) -> torch.dtype | None:
    """Reads the option ``amp``; None is full precision."""
    names = {False: None, True: torch.bfloat16, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
    if amp not in names:
        raise ValueError(f"amp={amp!r} is unknown. Use False, True, 'bfloat16' or 'float16'.")
    return names[amp]


def collecting_broken(dataloader: DataLoader | dict[str, Any]) -> DataLoader | dict[str, Any]:
    """Has the data set of a config hand over missing and broken clips as samples, so that all can be listed.

    A data loader is left as it is.
    """
    if isinstance(dataloader, DataLoader) or not isinstance(dataloader.get('dataset'), dict):
        return dataloader
    dataset = dataloader['dataset'].copy()
    if dataset.get('missing') == 'skip':
        raise ValueError(
            "dataset.missing='skip' would leave videos out of an evaluation without a word in its result. "
            'Take it out; skip_broken=True of the loop (tools/test.py --skip-broken) leaves them out and '
            'counts them.'
        )
    dataset.setdefault('collect_broken', True)
    dataset.setdefault('missing', 'keep')
    config = dataloader.copy()
    config['dataset'] = dataset
    return config


def deal_out_blocks(loader: DataLoader, block: int) -> None:
    """Has an ``EpochSampler`` give each process whole blocks; another sampler costs time but no digit."""
    if isinstance(loader.sampler, EpochSampler):
        loader.sampler.block = block


def stop_if_missing(loader: DataLoader) -> None:
    """Raises ``BrokenVideosError`` with all files that are missing, before any work."""
    dataset = loader.dataset
    if not getattr(dataset, 'num_missing', 0):
        return
    paths = {record['video']: dataset.path_of(record) for record in dataset.clips}
    absent = {video: f'there is no file {path}' for video, path in paths.items() if not file_stamp(path)}
    if absent:
        raise BrokenVideosError(absent, len(dataset.clips))


class FusionWeightHook(Hook):
    """Keeps the calibrated fusion weight in the checkpoint's meta data; ``RetrievalLoop`` registers it."""

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Writes the weight, if one was calibrated."""
        weight = runner.message_hub.get_info(FUSION_WEIGHT)
        if weight is not None:
            checkpoint.setdefault('meta', {})[FUSION_WEIGHT] = float(weight)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Reads the weight, if there is one."""
        weight = checkpoint.get('meta', {}).get(FUSION_WEIGHT)
        if weight is not None:
            runner.message_hub.update_info(FUSION_WEIGHT, float(weight))
