"""Forward and training step: videos a second, memory, share of the peak, time by part, loader wait."""

import os
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from full_size_check import generate_clips, point_at
from timing import Stopwatch, model_parts
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, RandomSampler
from torch.utils.flop_counter import FlopCounterMode

from gpu_proof.common import (
    Setting,
    Table,
    autocast,
    bf16_peak,
    build_model,
    build_wrapper,
    load,
    make_batch,
    peak_gib,
    run_part,
    seconds,
)  # fmt: skip
from stgt_mm.datasets import video_text_collate
from stgt_mm.registry import DATASETS

ESTIMATE = (
    'Estimate at batch 20 and T = 8: 11.5 GB of saved activations, 25 to 30 GB at the peak. Counted on '
    'tensors without numbers: 10.7 GB, of them 0.49 GB of weights in bfloat16 and 0.51 GB a clip; with '
    "QuickGELU written out in the neck's MLP, which keeps 0.46 GB more."
)
GB = 1e9


def flops_of(function: Any) -> int:
    """Counts what a call does, backward included: a multiplication and an addition are two."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def saved_gb(model: nn.Module, inputs: dict[str, Any], samples: Any) -> float:
    """Sums what autograd keeps of a forward pass, each storage once and no parameter, in GB."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}
    alive = []  # so that no address is used twice

    def pack(x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        losses = model(inputs, samples, mode='loss')
    del losses
    return sum(kept.values()) / GB


def measure_sizes(setting: Setting, model: nn.Module, wrapper: Any) -> Table:
    """Measures forward and step at growing batches until one does not fit."""

    def encode(batch: Any) -> None:
        with autocast(setting):
            model.encode_video(model.data_preprocessor(batch)['inputs'])

    forward = torch.inference_mode()(encode)

    def step(batch: Any) -> None:
        model.train_step(batch, wrapper)

    one = make_batch(model, 1)
    # the counter follows modules through gradients: it cannot be used in inference mode
    work = {forward: flops_of(partial(encode, one)), step: flops_of(partial(step, one))}
    peak, rows = bf16_peak(setting.device), []
    for name, run in (('forward', forward), ('training step', step)):
        model.train(run is step)
        sizes = [1, 2] if setting.reduced else [1, 4, 20, *(20 * 2**power for power in range(1, 10))]
        for size in sizes:
            batch = make_batch(model, size)
            try:
                used = peak_gib(setting, partial(run, batch))
                taken = seconds(setting, partial(run, batch))
            except torch.OutOfMemoryError:
                rows.append([name, size, None, None, None, None])
                break
            rate = work[run] * size / taken
            memory = None if used is None else used * 2**30 / GB
            rows.append([name, size, size / taken, 1e3 * taken, memory, rate and peak and 100 * rate / peak])
        wrapper.zero_grad()
    header = ['', 'batch', 'videos/s', 'ms', 'peak GB', '% of the bf16 peak']
    note = f'{work[forward] / 1e12:.3g} TFLOP a video forward, {work[step] / 1e12:.3g} in a step.'
    return Table('Full size in bf16' if not setting.reduced else 'Reduced size in bf16', header, rows, note)


def measure_parts(setting: Setting, model: nn.Module, wrapper: Any, batch: Any) -> Table:
    """Measures a step part by part; the device is waited for at each boundary."""
    model.train()
    watch = Stopwatch(setting.device)
    parts = [*model_parts(model), ('heads, losses', model, 'loss')]
    parts += [('backward', wrapper, 'backward'), ('optimizer', wrapper, 'step')]
    with watch.watching(*parts):
        for _ in range(2 if setting.reduced else 6):
            watch.new_round()
            with watch.part('rest'):
                model.train_step(batch, wrapper)
    watch.rounds = watch.rounds[2:]  # the empty first round, and one to warm up
    found = watch.medians()
    total = sum(found.values())
    rows = [[part, 1e3 * own, 100 * own / total] for part, own in sorted(found.items(), key=lambda x: -x[1])]
    return Table(f'A training step at batch {len(batch["inputs"])} by part', ['part', 'ms', '%'], rows)


def measure_kernels(setting: Setting, model: nn.Module, wrapper: Any, batch: Any) -> Table:
    """Profiles a step and lists what takes longest."""
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if setting.on_card else [])]
    with profile(activities=kinds) as trace:
        model.train_step(batch, wrapper)
    clock = 'self_device_time_total' if setting.on_card else 'self_cpu_time_total'
    events = sorted(trace.key_averages(), key=lambda event: -getattr(event, clock))
    total = sum(getattr(event, clock) for event in events)
    rows = [
        [e.key[:80], e.count, getattr(e, clock) / 1e3, 100 * getattr(e, clock) / total] for e in events[:12]
    ]
    return Table('What of a step takes longest', ['operator or kernel', 'calls', 'ms', '%'], rows)


def measure_memory(setting: Setting, model: nn.Module, wrapper: Any, batch: Any) -> Table:
    """Holds saved activations and the peak of a step against the estimate."""
    data = model.data_preprocessor(batch)
    with autocast(setting):
        saved = saved_gb(model.train(), data['inputs'], data['data_samples'])
    peak = peak_gib(setting, lambda: model.train_step(batch, wrapper))
    peak = None if peak is None else peak * 2**30 / GB
    size = len(batch['inputs'])
    header = ['batch', 'saved activations, GB', 'GB a clip', 'peak GB']
    return Table('Memory of a training step', header, [[size, saved, saved / size, peak]], ESTIMATE)


def measure_loader(setting: Setting, model: nn.Module, wrapper: Any, cfg: Any, size: int) -> Table:
    """Trains from generated clips that workers decode, and measures what the step waits for them."""
    point_at(cfg, *generate_clips(setting.folder, 2 * size))
    dataset = DATASETS.build({**cfg.test_dataloader.dataset.to_dict(), 'type': 'VideoTextDataset'})
    workers, steps = (
        1 if setting.reduced else max(1, min(14, (os.cpu_count() or 2) - 2)),
        3 if setting.reduced else 24,
    )
    loader = DataLoader(
        dataset, size, sampler=RandomSampler(dataset, replacement=True, num_samples=size * steps),
        num_workers=workers, collate_fn=video_text_collate, pin_memory=setting.on_card,
    )  # fmt: skip
    waits, whole = [], []
    batches, now = iter(loader), time.perf_counter
    for _ in range(steps):
        start = now()
        batch = next(batches)
        waits.append(now() - start)
        float(model.train_step(batch, wrapper)['loss'].detach())  # waits for the device
        whole.append(now() - start)
    waits, whole = waits[steps // 3 :], whole[steps // 3 :]  # the workers have started
    row = [
        size,
        workers,
        1e3 * sum(whole) / len(whole),
        1e3 * sum(waits) / len(waits),
        100 * sum(waits) / sum(whole),
    ]
    return Table('Waiting for the loader', ['batch', 'workers', 'step ms', 'wait ms', 'wait %'], [row])


def measure(setting: Setting) -> Iterator[Table]:
    """Measures all of it with one model."""
    cfg = load(setting)
    model = build_model(setting, cfg)
    wrapper = build_wrapper(model)
    size = 2 if setting.reduced else 20
    batch = make_batch(model, size)
    yield measure_sizes(setting, model, wrapper)
    for run in (measure_parts, measure_memory, measure_kernels):
        yield run(setting, model, wrapper, batch)
    yield measure_loader(setting, model, wrapper, cfg, size)


if __name__ == '__main__':
    run_part(measure)
