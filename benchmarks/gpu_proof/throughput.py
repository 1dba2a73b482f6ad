"""Videos a second from clips to scores, decoded and from cached frames: Table 6, right."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from benchmark_throughput import PAPER, measure_throughput
from full_size_check import generate_clips, point_at
from torch.utils.data import Dataset

from gpu_proof.common import Setting, Table, build_model, load, run_part
from stgt_mm.registry import DATASETS


class Frames(Dataset):
    """The samples of a data set, decoded before."""

    def __init__(self, dataset: Any, threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            self.samples = list(pool.map(dataset.__getitem__, range(len(dataset))))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]


def measure(setting: Setting) -> list[Table]:
    """Scores 1,000 generated clips against as many captions, 32 of them matched with each."""
    count = 6 if setting.reduced else 1000
    cfg = load(setting)
    point_at(cfg, *generate_clips(setting.folder, count, size=64 if setting.reduced else 256))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    model = build_model(setting, cfg).eval()
    cached = Frames(dataset, min(16, os.cpu_count() or 1))
    rows, parts = [], []
    for source, clips in (('decoded', dataset), ('cached frames', cached)):
        for size in (1, 2) if setting.reduced else (1, 16):
            found = measure_throughput(model, clips, dataset.texts, 32, size, warm_up=1, dtype=torch.bfloat16)
            total = sum(found.wall.values())
            rows.append([source, size, 1 / total, found.candidates])
            parts.append([source, size, *(1e3 * found.wall[part] for part in found.wall)])
    note = (
        f'One part after another, one process, nothing overlaps. `paper`, Table 6: {PAPER}; its '
        'clips are real, and what it counts is not said.'
    )
    names = list(found.wall)
    return [
        Table(f'{count} generated clips to scores', ['source', 'batch', 'videos/s', 'matched'], rows, note),
        Table('ms a video by part', ['source', 'batch', *names], parts),
    ]


if __name__ == '__main__':
    run_part(measure)
