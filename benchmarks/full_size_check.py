"""Runs a config at its real size: scores clips end to end, then trains one step; prints time and memory.

Each of the two runs in a process of its own, whose most memory is held against a limit. Without --ann-file
the clips are generated. --random-weights is for a machine without the weights: no weight file is read.

Example:
    python benchmarks/full_size_check.py configs/retrieval/msrvtt_zeroshot.py --random-weights \
        --ann-file two.jsonl --video-root videos \
        --cfg-options model.data_preprocessor.tokenizer.vocab=bert-base-uncased/vocab.txt
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from mmengine.config import ConfigDict
from timing import Stopwatch, model_parts, peak_memory_gib

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.datasets import video_text_collate
from stgt_mm.datasets.readers import write_video
from stgt_mm.engine.cli import add_config_options, build_runner, described_parser, run_tool
from stgt_mm.engine.optim import TrainableParamsConstructor
from stgt_mm.errors import UserError
from stgt_mm.random_weights import weight_files, without_weights
from stgt_mm.registry import DATASETS
from stgt_mm.utils import bare_model

NOT_NEEDED = ('train_', 'val_', 'optim_wrapper', 'param_scheduler', 'custom_hooks', 'auto_scale_lr')


def use_random_weights(cfg: Any) -> list[str]:
    """Takes all weight files out of a config, in place, and returns those that are not read."""
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
    (folder / 'clips.jsonl').write_text(''.join(json.dumps(record) + '\n' for record in records))
    return folder / 'clips.jsonl', folder / 'videos'


def point_at(cfg: Any, ann_file: str | Path, video_root: str | Path) -> None:
    """Has a config test on other clips, in this process alone; a config without a test is a ValueError."""
    if not cfg.get('test_dataloader'):
        raise ValueError('the config has no test_dataloader: nothing says how clips are loaded.')
    cfg.test_dataloader.dataset.update(ann_file=str(ann_file), video_root=str(video_root))
    cfg.test_dataloader.dataset.pop('feature_cache', None)
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.pop('prefetch_factor', None)
    cfg.test_cfg.pop('choices', None)


def score(cfg: Any) -> dict[str, Any]:
    """Tests a config as ``tools/test.py`` does, with a clock on its parts."""
    runner, watch = _build(cfg)
    dataset = type(runner.test_loop.dataloader.dataset)
    with (
        watch.watching(*model_parts(bare_model(runner.model)), ('decode', dataset, '__getitem__')),
        watch.part('rest'),
    ):
        metrics = runner.test()
    return _taken(watch, runner, metrics)


def train_step(cfg: Any, batch_size: int) -> dict[str, Any]:
    """Trains one step on the first pairs of the test set; fewer pairs than the batch are a ValueError.

    Without an ``optim_wrapper`` in the config, AdamW in full precision is taken.
    """
    runner, watch = _build(cfg)
    model = bare_model(runner.model).train()
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
    return _taken(watch, runner, losses)


def _build(cfg: Any) -> tuple[Any, Stopwatch]:
    """Builds a runner that can test and needs no data of training or validation; and a watch of it."""
    kept = type(cfg)(
        {key: value for key, value in cfg.items() if not key.startswith(NOT_NEEDED)}, filename=cfg.filename
    )
    # Without a name of its own, a second run in the same second writes into the folder of the first.
    kept.experiment_name = f'full_size_{uuid4().hex[:8]}'
    watch = Stopwatch('cuda' if torch.cuda.is_available() else 'cpu')
    with watch.part('build'):
        runner = build_runner(kept)
    return runner, watch


def _taken(watch: Stopwatch, runner: Any, result: Any) -> dict[str, Any]:
    device = next(runner.model.parameters()).device
    return {
        'wall': watch.totals(),
        'cpu': watch.totals('cpu'),
        'peak_gib': peak_memory_gib(device),
        'result': {key: float(value) for key, value in result.items()},
    }


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument('--random-weights', action='store_true', help='read no weight file that is named')
    parser.add_argument('--ann-file', help='annotation file of the clips; without it two are generated')
    parser.add_argument('--video-root', default='.', help='folder of the videos of --ann-file')
    parser.add_argument('--batch-size', type=int, default=2, help='pairs of the training step')
    parser.add_argument('--test-gib', type=float, default=12, help='limit of the memory while scoring')
    parser.add_argument('--train-gib', type=float, default=20, help='limit of the memory of the step')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads')
    parser.add_argument('--only', choices=('test', 'train'), help='one of the two, in this process')
    parser.add_argument('--json', action='store_true', help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def run_one(args: argparse.Namespace) -> dict[str, Any]:
    """Scores or trains in this process."""
    torch.set_num_threads(args.threads)
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    if args.random_weights:
        for name in use_random_weights(cfg):
            print(f'--random-weights: {name} is not read', file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        clips = (args.ann_file, args.video_root)
        if args.ann_file is None:
            clips = generate_clips(Path(folder), max(2, args.batch_size))
        point_at(cfg, *clips)
        cfg.work_dir = folder
        return score(cfg) if args.only == 'test' else train_step(cfg, args.batch_size)


def run_in_child(argv: Sequence[str], only: str) -> dict[str, Any]:
    """Runs one of the two in a process of its own; if it fails it has said why."""
    command = [sys.executable, __file__, *argv, '--only', only, '--json']
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return json.loads(done.stdout.splitlines()[-1])


def show(what: str, run: dict[str, Any], limit: float) -> bool:
    """Prints a run; says whether its memory was within the limit, in GiB."""
    total, cpu = sum(run['wall'].values()), sum(run['cpu'].values())
    print(f'\n{what}: {total:.1f} s, {cpu:.1f} s of CPU, at most {run["peak_gib"]:.2f} GiB (limit {limit:g})')
    for part, seconds in sorted(run['cpu'].items(), key=lambda pair: -pair[1]):
        print(f'  {part:22}{run["wall"][part]:9.2f} s {seconds:9.2f} s of CPU {100 * seconds / cpu:6.1f}%')
    print('  ' + ', '.join(f'{key} {value:.4g}' for key, value in run['result'].items()))
    return run['peak_gib'] <= limit


def main(argv: Sequence[str] | None = None) -> None:
    """Runs, prints, and fails if memory went over a limit."""
    args = parse_args(argv)
    given = list(sys.argv[1:] if argv is None else argv)
    limits = {'test': args.test_gib, 'train': args.train_gib}
    names = {'test': 'scoring clips against captions', 'train': f'a training step of {args.batch_size} pairs'}
    over = []
    for only in [args.only] if args.only else limits:
        run = run_one(args) if args.only else run_in_child(given, only)
        if args.json:
            print(json.dumps(run))
        elif not show(names[only], run, limits[only]):
            over.append(only)
    if over:
        raise UserError(f'more memory than the limit: {", ".join(over)}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
