"""Two processes against one: losses and gradients, with gloo on one card and with NCCL on two."""

import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gpu_proof.common import Setting, Table, load, make_batch, relative_error, run_part
from stgt_mm.distributed import mean_over_ranks
from stgt_mm.registry import MODELS

PAIRS, TOLERANCE = 6, 1e-6


def gradients(setting: Setting, rows: slice, wrap: Any = lambda model: model) -> dict[str, Tensor]:
    """Returns the mean loss of six pairs and the gradients, computed from this process's rows in float64."""
    cfg = load(setting)
    torch.manual_seed(0)
    model: nn.Module = MODELS.build(cfg.model).double().to(setting.device)
    batch = make_batch(model, PAIRS)
    noise = torch.rand(2, PAIRS, PAIRS, dtype=torch.float64)
    batch = {'inputs': batch['inputs'][rows], 'data_samples': batch['data_samples'][rows]}
    data = model.data_preprocessor(batch)
    data['inputs']['video'] = data['inputs']['video'].double()
    data['inputs']['negative_noise'] = noise[:, rows].to(setting.device)
    wrapped = wrap(model)  # kept: with it goes what averages the gradients
    losses = wrapped(**data, mode='loss')
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    found = {f'grad of {name}': p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}
    means = mean_over_ranks(losses)
    wrong = [key for key, value in losses.items() if value.device.type != setting.device.type]
    if wrong:
        raise SystemExit(f'{wrong} are not on {setting.device}')
    return {**{key: value.detach().cpu() for key, value in means.items() if 'loss' in key}, **found}


def worker(rank: int, setting: Setting, backend: str, cards: int) -> None:
    """One of two processes."""
    torch.set_num_threads(1)
    device = torch.device(setting.device.type, rank % cards) if cards else setting.device
    if cards:
        torch.cuda.set_device(device)
    store = f'file://{setting.folder}/store_{backend}'
    os.environ.setdefault('GLOO_SOCKET_IFNAME', 'lo')
    dist.init_process_group(backend, init_method=store, rank=rank, world_size=2)
    rows = slice(0, 4) if rank == 0 else slice(4, PAIRS)  # uneven: 4 and 2
    own = Setting(device, True, Path(setting.folder) / f'rank{rank}')
    own.folder.mkdir(exist_ok=True)
    found = gradients(own, rows, DistributedDataParallel)
    if rank == 0:
        torch.save(found, setting.folder / f'{backend}.pt')
    dist.destroy_process_group()


def measure(setting: Setting) -> list[Table]:
    """Compares; stops if two processes are not as one."""
    setting = setting._replace(reduced=True)  # the tiny model: this is about numbers, not about size
    expected = gradients(setting, slice(None))
    rows = []
    cards = torch.cuda.device_count()
    runs = [('gloo', min(cards, 1)), *([('nccl', 2)] if cards > 1 else [])]
    for backend, used in runs:
        method = 'spawn' if used else 'fork'  # quicker, but nothing for a process that has used a card
        mp.start_processes(worker, (setting, backend, used), nprocs=2, start_method=method)
        found = torch.load(setting.folder / f'{backend}.pt', weights_only=True)
        errors = {
            key: relative_error(found[key], value) for key, value in expected.items() if value.norm() > 1e-9
        }
        losses = max(error for key, error in errors.items() if 'loss' in key)
        grads = max(error for key, error in errors.items() if 'loss' not in key)
        rows.append([backend, used, losses, grads])
        if not max(losses, grads) < TOLERANCE or found.keys() != expected.keys():
            worst = sorted(errors.items(), key=lambda pair: -pair[1])[:5]
            raise SystemExit(f'{backend}: two processes differ from one: {worst}')
    note = f'float64, 4 and 2 of 6 pairs, tolerance {TOLERANCE:g}.'
    note += '' if cards > 1 else ' NCCL wants two cards and has not run.'
    header = ['backend', 'cards', 'largest relative error of losses', 'of gradients']
    return [Table('Two processes against one, stgt_tiny', header, rows, note)]


if __name__ == '__main__':
    run_part(measure)
