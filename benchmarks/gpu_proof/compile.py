"""``torch.compile`` on and off: equal losses, and what it gains."""

import time
from collections.abc import Iterator

import torch
from torch import nn

from gpu_proof.common import Setting, Table, autocast, build_model, load, make_batch, run_part, seconds
from gpu_proof.losses import first_losses, largest_difference

TOLERANCE = 1e-3


def measure_losses(setting: Setting) -> Table:
    """Trains the tiny config with and without MMEngine's key; tracing all is too slow for CI."""
    steps = 2 if setting.reduced else 20
    runs = {}
    for name, option in (('off', None), ('on', {'disable': True} if setting.reduced else True)):
        start = time.perf_counter()
        losses = first_losses(setting, steps, option)
        runs[name] = losses, time.perf_counter() - start
    rows = [[name, losses[0], losses[-1], taken] for name, (losses, taken) in runs.items()]
    worst = largest_difference(runs['off'][0], runs['on'][0])
    if not worst < TOLERANCE:
        raise SystemExit(f'compiled losses differ by {worst}, more than {TOLERANCE}: {runs}')
    note = f'Largest relative difference of the losses: {worst:.2g}, tolerance {TOLERANCE:g}.'
    return Table(
        f'{steps} steps of stgt_tiny', ['compile', 'first loss', 'last loss', 's, start included'], rows, note
    )


@torch.inference_mode()
def measure_backbone(setting: Setting, model: nn.Module, size: int) -> Table:
    """Times the backbone, which takes most of a step, with and without."""
    video = model.data_preprocessor(make_batch(model, size))['inputs']['video']
    options = {'backend': 'eager'} if setting.reduced else {}  # a compiler takes minutes on a CPU
    rows = []
    with autocast(setting):
        for name, run in (('off', model.backbone), ('on', torch.compile(model.backbone, **options))):
            start = time.perf_counter()
            run(video)
            first = time.perf_counter() - start
            taken = seconds(setting, lambda run=run: run(video))
            rows.append([name, first, 1e3 * taken, size / taken])
    return Table(f'Backbone at batch {size} in bf16', ['compile', 'first call, s', 'ms', 'videos/s'], rows)


def measure(setting: Setting) -> Iterator[Table]:
    """Measures both."""
    model = build_model(setting, load(setting)).eval()
    yield measure_backbone(setting, model, 2 if setting.reduced else 20)
    yield measure_losses(setting)


if __name__ == '__main__':
    run_part(measure)
