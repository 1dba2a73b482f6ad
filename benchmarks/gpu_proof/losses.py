"""The first seeded losses of the tiny config on the GPU and on the CPU, in float32."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from benchmark_feature_cache import set_cache, shorten
from mmengine.device import get_device

from gpu_proof.common import ROOT, TINY, Setting, Table, make_moving_shapes, run_part
from stgt_mm.config import load_config
from stgt_mm.engine.cli import build_runner
from stgt_mm.engine.hooks.metrics_file_hook import read_metrics

TOLERANCE = 2e-3
PARTS = ('loss', 'loss_vtc', 'loss_vtm', 'loss_vtg')


def train(data: Path, work_dir: Path, steps: int, batch: int, compiled: Any = None) -> list[float]:
    """Trains some steps through the runner and returns their losses.

    Negatives are drawn with the CPU's generator on every device: a GPU's gives other numbers for a seed.
    """
    cfg = load_config(
        ROOT / TINY, {'data_root': str(data), 'model.data_preprocessor.tokenizer.vocab': f'{data}/vocab.txt'}
    )
    work_dir.mkdir(parents=True, exist_ok=True)
    shorten(cfg, 1, steps * batch, work_dir)
    set_cache(cfg, None)
    for key in ('cfg', 'dataloader', 'evaluator'):
        cfg.pop(f'val_{key}', None)
    cfg.train_dataloader.batch_size = batch
    cfg.update(work_dir=str(work_dir), experiment_name=uuid4().hex, launcher='none', log_level='ERROR')
    if compiled:
        cfg.compile = compiled
    runner = build_runner(cfg)
    prepare = runner.model.data_preprocessor.forward

    def prepare_with_noise(data: Any, training: bool = False) -> Any:
        batch = prepare(data, training)
        pairs = len(batch['data_samples'])
        batch['inputs']['negative_noise'] = torch.rand(2, pairs, pairs).to(get_device())
        return batch

    runner.model.data_preprocessor.forward = prepare_with_noise
    runner.train()
    return [record['loss'] for record in read_metrics(work_dir / 'metrics.jsonl') if 'loss' in record]


def first_losses(setting: Setting, steps: int, compiled: Any = None) -> list[float]:
    """Trains on the part's device, on clips that are rendered once."""
    data = setting.folder / 'moving_shapes'
    if not data.is_dir():
        make_moving_shapes(setting, 64 if setting.reduced else 640)
    return train(data, setting.folder / uuid4().hex, steps, 8 if setting.reduced else 64, compiled)


def largest_difference(first: list[float], second: list[float]) -> float:
    """Returns the largest relative difference of two runs of the same length."""
    return max(abs(a - b) / abs(a) for a, b in zip(first, second, strict=True))


def measure(setting: Setting) -> list[Table]:
    """Trains here and, in a process that sees no card, on the CPU; fails if they differ by more."""
    steps = 3 if setting.reduced else 20
    here = first_losses(setting, steps)
    data, batch = setting.folder / 'moving_shapes', 8 if setting.reduced else 64
    out = setting.folder / 'cpu.json'
    command = [
        sys.executable,
        '-m',
        'gpu_proof.losses',
        '--on-cpu',
        data,
        setting.folder / 'cpu',
        steps,
        batch,
        out,
    ]
    subprocess.run([*map(str, command)], env={**os.environ, 'CUDA_VISIBLE_DEVICES': ''}, check=True)
    there = json.loads(out.read_text())
    worst = largest_difference(there, here)
    rows = [[step + 1, a, b, abs(a - b) / abs(b)] for step, (a, b) in enumerate(zip(here, there))]
    if not worst < TOLERANCE or len(here) != steps:
        raise SystemExit(
            f'{len(here)} losses of {steps} differ by up to {worst}, tolerance {TOLERANCE}: {rows}'
        )
    note = f'float32, batch {batch}, same negatives; largest difference {worst:.2g}, tolerance {TOLERANCE:g}.'
    return [
        Table(
            'Losses of stgt_tiny',
            ['step', f'{setting.device.type}', 'cpu', 'relative difference'],
            rows,
            note,
        )
    ]


if __name__ == '__main__':
    if sys.argv[1:2] == ['--on-cpu']:
        found = train(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
        Path(sys.argv[6]).write_text(json.dumps(found))
    else:
        run_part(measure)
