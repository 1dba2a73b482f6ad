"""The checkpoint that a run goes on from, which must be of this run."""

from logging import Logger
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from torch.utils.data import DataLoader

from stgt_mm.engine.checkpoint.files import expect, read_checkpoint, resume_candidates
from stgt_mm.engine.errors import CheckpointError

_KINDS = {'optimizer': dict, 'message_hub': dict, 'param_schedulers': list}
_META_KINDS = {'epoch': int, 'iter': int, 'fingerprint': dict, 'seed': int, 'training_data': dict}


def newest_whole_checkpoint(work_dir: str | Path, logger: Logger) -> str | None:
    """Finds the newest checkpoint of a run that is whole, the same on all processes; None without any.

    The logger is told of every file that is left out; if none can be resumed, that is a CheckpointError.
    """
    candidates = resume_candidates(work_dir)
    found = [None, ', '.join(candidate.name for candidate in candidates)]
    for candidate in candidates if is_main_process() else ():
        try:
            check_resumable(read_checkpoint(candidate), candidate)
        except CheckpointError as error:
            logger.warning(f'!!! CHECKPOINT LEFT OUT: {candidate}: {error} Trying the one before it.')
        else:
            found[0] = str(candidate)
            break
    broadcast_object_list(found)
    if found[0] is None and found[1]:
        raise CheckpointError(
            f'no checkpoint in {work_dir} can be resumed ({found[1]}). Start without --resume.'
        )
    return found[0]


def training_data(loop: Any) -> dict[str, str]:
    """Describes what the position in a training is counted in, as text; empty before the loop is built.

    ``steps_per_epoch``, ``records`` and, where the data set tells its ``content_hash``, ``annotation``.
    """
    loader = getattr(loop, 'dataloader', None)
    if not isinstance(loader, DataLoader):
        return {}
    facts = {'steps_per_epoch': str(len(loader)), 'records': str(len(loader.dataset))}
    content = getattr(loader.dataset, 'content_hash', None)
    return facts if content is None else {**facts, 'annotation': str(content)[:16]}


def check_resumable(checkpoint: dict[str, Any], filename: str | Path) -> None:
    """Raises a CheckpointError if a checkpoint does not hold all that a training needs to go on."""
    meta = checkpoint.get('meta', {})
    if 'optimizer' not in checkpoint or not meta.keys() >= _META_KINDS.keys() - {'training_data'}:
        raise CheckpointError(
            f'{filename} holds weights only, training cannot go on from it. Resume from an epoch_*.pth or '
            'iter_*.pth of the run, or start a new training from these weights with '
            '--cfg-options load_from=PATH.'
        )
    for part, kinds in ((meta, _META_KINDS), (checkpoint, _KINDS)):
        for key, kind in kinds.items():
            expect(part.get(key, kind()), kind, filename, key)
    expect(checkpoint.get('message_hub', {}).get('runtime_info'), dict, filename, 'runtime_info')


def check_same_training(
    checkpoint: dict[str, Any], filename: str | Path, fingerprint: dict[str, str], data: dict[str, str]
) -> None:
    """Raises a CheckpointError if a training would go on under another config or with other data."""
    meta = checkpoint['meta']
    new_training = (
        'or start a new training from its weights: another --work-dir and --cfg-options load_from=PATH, '
        'without --resume.'
    )
    for before, present, what, remedy in (
        (
            meta['fingerprint'],
            fingerprint,
            'was saved under another configuration',
            'Resume with the configuration of the run (a copy lies in its work_dir), ',
        ),
        (
            meta.get('training_data') or data,
            data,
            'was saved in a training on other data',
            'Its place in the epoch and its schedule would not fit. Give the annotation that the run began '
            'with as train_dataloader.dataset.ann_file (the folder may be another), ',
        ),
    ):
        changes = [
            f'  {key}: {before.get(key, "(not set)")} -> {present.get(key, "(not set)")}'
            for key in sorted({**before, **present})
            if before.get(key) != present.get(key)
        ]
        if changes:
            lines = '\n'.join(changes)
            raise CheckpointError(f'{filename} {what} (checkpoint -> now):\n{lines}\n{remedy}{new_training}')
