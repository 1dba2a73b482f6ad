"""A model at its real size on real clips: scored end to end, and trained for a step, with memory and time."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from mmengine.config import ConfigDict
from timing import Stopwatch, model_parts, peak_memory_gib

from stgt_mm.datasets import video_text_collate
from stgt_mm.datasets.readers import write_video
from stgt_mm.datasets.records import write_records
from stgt_mm.engine.cli import build_runner
from stgt_mm.engine.optim import TrainableParamsConstructor
from stgt_mm.random_weights import weight_files, without_weights
from stgt_mm.registry import DATASETS

_NOT_NEEDED = ('train_', 'val_', 'optim_wrapper', 'param_scheduler', 'custom_hooks', 'auto_scale_lr')


@dataclass
class FullRun:
    """What a run took.

    Attributes:
        wall: Part -> seconds of the wall clock.
        cpu: Part -> seconds of CPU time over all threads.
        peak_gib: Most memory of the process.
        result: Metrics, or losses.
    """

    wall: dict[str, float]
    cpu: dict[str, float]
    peak_gib: float
    result: dict[str, float] = field(default_factory=dict)


def use_random_weights(cfg: Any) -> list[str]:
    """Takes all weight files out of a config.

    Args:
        cfg: The config, changed in place.

    Returns:
        The files that are not read.
    """
    names = weight_files(cfg.model.to_dict()) + ([str(cfg.load_from)] if cfg.get('load_from') else [])
    cfg.model = ConfigDict(without_weights(cfg.model.to_dict()))
    cfg.load_from = None
    return names


def generate_clips(folder: Path, count: int, size: int = 256, frames: int = 24) -> tuple[Path, Path]:
    """Writes clips of moving noise, each with a caption of its own.

    Args:
        folder: Where to.
        count: Clips.
        size: Side in pixels.
        frames: Frames of a clip.

    Returns:
        Annotation file, and folder of the videos.
    """
    records = []
    for index in range(count):
        rng = np.random.default_rng(index)
        noise = rng.integers(0, 256, (size // 16, size // 16, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
        clip = np.stack([np.roll(noise, 4 * frame, axis=1) for frame in range(frames)])
        write_video(folder / 'videos' / f'{index}.mp4', clip)
        records.append({'video': f'{index}.mp4', 'text': f'pattern number {index} moves to the right'})
    write_records(records, folder / 'clips.jsonl')
    return folder / 'clips.jsonl', folder / 'videos'


def point_at(cfg: Any, ann_file: str | Path, video_root: str | Path) -> None:
    """Has a config test on other clips, in this process alone.

    Args:
        cfg: The config, changed in place.
        ann_file: Annotation file.
        video_root: Folder of the videos.

    Raises:
        ValueError: If the config tests on nothing.
    """
    if not cfg.get('test_dataloader'):
        raise ValueError('the config has no test_dataloader: nothing says how clips are loaded.')
    cfg.test_dataloader.dataset.update(ann_file=str(ann_file), video_root=str(video_root))
    cfg.test_dataloader.dataset.pop('feature_cache', None)
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.pop('prefetch_factor', None)
    cfg.test_cfg.pop('choices', None)


def set_frames(cfg: Any, frames: int) -> None:
    """Has a config load so many frames of each test clip.

    Args:
        cfg: The config, changed in place.
        frames: T.
    """
    for step in cfg.test_dataloader.dataset.pipeline:
        if str(step['type']).endswith('LoadVideo'):
            step['num_frames'] = frames


def score(cfg: Any) -> FullRun:
    """Tests a config as ``tools/test.py`` does, with a clock on its parts.

    Args:
        cfg: The config, with a ``work_dir``.

    Returns:
        Time, memory and metrics.
    """
    runner, watch = _build(cfg)
    dataset = type(runner.test_loop.dataloader.dataset)
    with (
        watch.watching(*model_parts(runner.bare_model), ('decode', dataset, '__getitem__')),
        watch.part('rest'),
    ):
        metrics = runner.test()
    return _taken(watch, runner, {key: float(value) for key, value in metrics.items()})


def train_step(cfg: Any, batch_size: int) -> FullRun:
    """Trains one step on the first pairs of the test set.

    Args:
        cfg: The config; without an ``optim_wrapper``, AdamW in full precision is taken.
        batch_size: Pairs of the batch.

    Returns:
        Time, memory and losses.

    Raises:
        ValueError: If there are fewer pairs.
    """
    runner, watch = _build(cfg)
    model = runner.bare_model.train()
    options = dict(cfg.get('optim_wrapper') or {'optimizer': {'type': 'AdamW', 'lr': 1e-5}})
    options.pop('constructor', None)
    wrapper = TrainableParamsConstructor(options, options.pop('paramwise_cfg', None))(model)
    dataset = DATASETS.build({**cfg.test_dataloader.dataset.to_dict(), 'type': 'VideoTextDataset'})
    if len(dataset) < batch_size:
        raise ValueError(f'{dataset.ann_file} has {len(dataset)} pairs, a step wants {batch_size}.')
    steps = [('heads, losses', model, 'loss'), ('backward', wrapper, 'backward')]
    with watch.watching(*model_parts(model), *steps, ('optimizer', wrapper, 'step')), watch.part('rest'):
        with watch.part('decode'):
            batch = video_text_collate([dataset[index] for index in range(batch_size)])
        losses = model.train_step(batch, wrapper)
    return _taken(watch, runner, {key: float(value.detach()) for key, value in losses.items()})


def _build(cfg: Any) -> tuple[Any, Stopwatch]:
    """Builds a runner that can test and needs no data of training or validation; and a watch of it."""
    kept = type(cfg)(
        {key: value for key, value in cfg.items() if not key.startswith(_NOT_NEEDED)}, filename=cfg.filename
    )
    # Without a name of its own, a second run in the same second writes into the folder of the first.
    kept.experiment_name = f'full_run_{uuid4().hex[:8]}'
    start = Stopwatch()
    with start.part('build'):
        runner = build_runner(kept)
    watch = Stopwatch(next(runner.model.parameters()).device)
    watch.wall, watch.cpu = start.wall, start.cpu
    return runner, watch


def _taken(watch: Stopwatch, runner: Any, result: dict[str, float]) -> FullRun:
    device = next(runner.model.parameters()).device
    return FullRun(watch.totals(), watch.totals('cpu'), peak_memory_gib(device), result)
