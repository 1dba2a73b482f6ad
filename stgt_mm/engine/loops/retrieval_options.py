"""What the retrieval loop makes of its options: precision, and clips that are missing or broken."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from stgt_mm.evaluation.encode import BrokenVideosError


def autocast_dtype(amp: bool | str) -> torch.dtype | None:
    """Reads the option ``amp``.

    Args:
        amp: False, True, ``'bfloat16'`` or ``'float16'``.

    Returns:
        The type, or None for full precision.

    Raises:
        ValueError: If it is none of the four.
    """
    names = {False: None, True: torch.bfloat16, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
    if amp not in names:
        raise ValueError(f"amp={amp!r} is unknown. Use False, True, 'bfloat16' or 'float16'.")
    return names[amp]


def collecting_broken(dataloader: DataLoader | dict[str, Any]) -> DataLoader | dict[str, Any]:
    """Has the data set hand over clips that are missing or broken as samples, so that all can be listed.

    Args:
        dataloader: A data loader, left as it is, or its config.

    Returns:
        The loader, or a changed copy of the config.

    Raises:
        ValueError: If the data set is told to leave out missing clips by itself: nobody would see it.
    """
    if isinstance(dataloader, DataLoader) or not isinstance(dataloader.get('dataset'), dict):
        return dataloader
    config = dataloader.copy()
    config['dataset'] = config['dataset'].copy()
    if config['dataset'].get('missing') == 'skip':
        raise ValueError(
            "dataset.missing='skip' would leave videos out of an evaluation without a word in its result. "
            'Take it out; skip_broken=True of the loop (tools/test.py --skip-broken) leaves them out and '
            'counts them.'
        )
    config['dataset'].setdefault('collect_broken', True)
    config['dataset'].setdefault('missing', 'keep')
    return config


def stop_if_missing(loaders: Iterable[DataLoader]) -> None:
    """Stops before any work if files are not there.

    Args:
        loaders: Data loaders of ``RetrievalDataset`` or ``ChoiceDataset``.

    Raises:
        BrokenVideosError: With all of a data set that are missing.
    """
    for loader in loaders:
        dataset = loader.dataset
        if not getattr(dataset, 'num_missing', 0):
            continue
        paths = [(record['video'], dataset.path_of(record)) for record in dataset.clips]
        absent = {video: f'there is no file {path}' for video, path in paths if not path.is_file()}
        if absent:
            raise BrokenVideosError(absent, len(paths))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Sets a model to evaluation and afterwards back to what it was.

    Args:
        model: The model.

    Yields:
        Nothing.
    """
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
