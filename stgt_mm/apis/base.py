"""Loading of a trained model as the test tool does it, and of a clip as the test reads it."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from stgt_mm.config import load_config
from stgt_mm.datasets.readers import VideoReadError
from stgt_mm.engine.checkpoint.files import read_checkpoint
from stgt_mm.engine.checkpoint.weights import load_weights
from stgt_mm.engine.needed_files import check_needed_files
from stgt_mm.registry import MODELS, TRANSFORMS

Pipeline = Sequence[Any]


def load_model(
    config: str | Path | Config, checkpoint: str | Path | None = None, device: str | None = None
) -> tuple[nn.Module, Config]:
    """Builds the model of a config, in eval mode, with all weights of a checkpoint.

    Args:
        config: A config file, or what ``load_config`` returns.
        checkpoint: A ``.pth`` or ``.safetensors`` file that fits in every key; None takes ``load_from`` of
            the config.
        device: By default a GPU if there is one.

    Returns:
        The model, and the config.

    Raises:
        ValueError: If neither names a checkpoint, or the checkpoint does not fit.
        FileNotFoundError: If there is no such config or checkpoint.
        MissingFilesError: If a file that the model reads is not there; with what makes it.
    """
    cfg = load_config(config) if isinstance(config, (str, Path)) else config
    checkpoint = checkpoint or cfg.get('load_from')
    if not checkpoint:
        raise ValueError(
            'no checkpoint is named, and the config has no load_from: give the file that a training of this '
            'config wrote, work_dirs/<config>/epoch_<n>.pth.'
        )
    check_needed_files({'model': cfg.model, 'made_by': cfg.get('made_by')}, reads=())
    state = read_checkpoint(checkpoint)
    model = MODELS.build(cfg.model)
    load_weights(model, state, str(checkpoint), strict=True)
    return model.to(device or get_device()).eval(), cfg


def clip_pipeline(cfg: Config) -> Pipeline:
    """Builds the transforms of the config's test data set; a ValueError if it has none."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    if not dataset.get('pipeline'):
        raise ValueError(
            'the config has no test_dataloader.dataset.pipeline: nothing says how to read a clip.'
        )
    return [TRANSFORMS.build(dict(step)) for step in dataset['pipeline']]


def read_clip(
    pipeline: Pipeline, path: str | os.PathLike, start: float | None = None, end: float | None = None
) -> dict[str, Any]:
    """Reads a video, or what is shown from ``start`` to ``end`` seconds, as a sample without words.

    ``pipeline`` is that of :func:`clip_pipeline`. ``inputs`` of the sample are uint8 (T, 3, H, W),
    ``data_samples`` says what was read; ``video_text_collate`` makes a batch of several. A file that cannot
    be decoded is a VideoReadError.
    """
    path = os.fspath(path)
    results = {
        'record': {},
        'rng': np.random.default_rng(0),
        'sample_idx': 0,
        'video': path,
        'video_id': path,
    }
    if start is not None or end is not None:
        results['span'] = (start, end)
    for step in pipeline:
        try:
            results = step(results)
        except VideoReadError as error:
            if not os.path.isfile(path):
                raise
            remedy = f'Fetch it again, or repair it: ffmpeg -i {shlex.quote(path)} NEW.mp4'
            raise VideoReadError(path, f'{error.why}. {remedy}') from error
        if 'span' in results:
            raise ValueError(f'{step!r} reads whole files only: leave out start and end of {path}.')
    return results
