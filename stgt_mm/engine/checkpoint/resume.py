"""Which checkpoint a run goes on from, and whether it is a checkpoint of this run."""

from logging import Logger
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from torch.utils.data import DataLoader

from stgt_mm.engine.checkpoint.files import read_checkpoint, resume_candidates
from stgt_mm.engine.checkpoint.fingerprint import describe_changes
from stgt_mm.engine.errors import CheckpointError


def newest_whole_checkpoint(work_dir: str | Path, logger: Logger) -> str | None:
    """Finds the newest checkpoint of a run that is whole; all processes get the same.

    Args:
        work_dir: The run's folder.
        logger: Told of every file that had to be left out.

    Returns:
        Path, or None if there is no checkpoint at all.

    Raises:
        CheckpointError: If there are checkpoints but none can be resumed.
    """
    found: list[Any] = [_search(work_dir, logger) if is_main_process() else None]
    broadcast_object_list(found)
    path, problem = found[0]
    if problem is not None:
        raise CheckpointError(problem)
    return path


def _search(work_dir: str | Path, logger: Logger) -> tuple[str | None, str | None]:
    candidates = resume_candidates(work_dir)
    for candidate in candidates:
        try:
            if 'optimizer' in read_checkpoint(candidate):
                return str(candidate), None
            reason = 'it holds no optimizer state.'
        except CheckpointError as error:
            reason = str(error)
        logger.warning(f'!!! CHECKPOINT LEFT OUT: {candidate}: {reason} Trying the one before it.')
    if candidates:
        names = ', '.join(candidate.name for candidate in candidates)
        return None, f'no checkpoint in {work_dir} can be resumed ({names}). Start without --resume.'
    return None, None


def training_data(loop: Any) -> dict[str, str]:
    """Describes what the position in a training is counted in.

    Args:
        loop: The training loop, or its config before it is built.

    Returns:
        ``steps_per_epoch``, ``records`` and, where the data set tells its ``content_hash``, ``annotation``,
        as text; empty before the loop is built.
    """
    loader = getattr(loop, 'dataloader', None)
    if not isinstance(loader, DataLoader):
        return {}
    facts = {'steps_per_epoch': str(len(loader)), 'records': str(len(loader.dataset))}
    content = getattr(loader.dataset, 'content_hash', None)
    return facts if content is None else {**facts, 'annotation': str(content)[:16]}


def check_same_data(checkpoint: dict[str, Any], filename: str | Path, present: dict[str, str]) -> None:
    """Makes sure that a training goes on with the data it began with, wherever they lie now.

    Args:
        checkpoint: The checkpoint; one without a description of its data passes.
        filename: Its name for messages.
        present: Description of the present training set, from :func:`training_data`.

    Raises:
        CheckpointError: With what differs.
    """
    before = checkpoint['meta'].get('training_data') or present
    changes = describe_changes(before, present)
    if changes:
        lines = '\n'.join(f'  {change}' for change in changes)
        raise CheckpointError(
            f'{filename} was saved in a training on other data (checkpoint -> now):\n{lines}\n'
            'Its place in the epoch and its schedule would not fit. Give the annotation that the run began '
            'with as train_dataloader.dataset.ann_file (the folder may be another), or start a new training '
            'from its weights: another --work-dir and --cfg-options load_from=PATH, without --resume.'
        )


def check_same_training(checkpoint: dict[str, Any], filename: str | Path, present: dict[str, str]) -> None:
    """Makes sure that a training goes on under the configuration it began with.

    Args:
        checkpoint: The checkpoint.
        filename: Its name for messages.
        present: Fingerprint of the present configuration.

    Raises:
        CheckpointError: With the keys that differ, or if the file holds weights only.
    """
    meta = checkpoint.get('meta') or {}
    absent = [key for key in ('epoch', 'iter', 'fingerprint', 'seed') if key not in meta]
    if absent or 'optimizer' not in checkpoint:
        raise CheckpointError(
            f'{filename} holds weights only, training cannot go on from it. Resume from an epoch_*.pth or '
            'iter_*.pth of the run, or start a new training from these weights with '
            '--cfg-options load_from=PATH.'
        )
    changes = describe_changes(meta['fingerprint'], present)
    if changes:
        lines = '\n'.join(f'  {change}' for change in changes)
        raise CheckpointError(
            f'{filename} was saved under another configuration (checkpoint -> now):\n{lines}\n'
            'Resume with the configuration of the run (a copy lies in its work_dir), or start a new training '
            'from its weights: another --work-dir and --cfg-options load_from=PATH, without --resume.'
        )
