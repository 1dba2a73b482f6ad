"""Two gloo processes for a test; starting them takes longer than their work, so one pair does much."""

import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def run_in_pair(work, folder, *args):
    """What ``work(rank, *args)`` gives on both ranks; their string hashes differ from this process's."""
    seed = '2' if os.environ.get('PYTHONHASHSEED') == '1' else '1'
    before = dict(os.environ)
    os.environ.update(PYTHONHASHSEED=seed)
    try:
        mp.spawn(_in_group, (work, str(folder), args), nprocs=2)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return [torch.load(f'{folder}/rank{rank}.pth', weights_only=True) for rank in range(2)]


def _in_group(rank, work, folder, args):
    torch.set_num_threads(1)
    os.environ.update(GLOO_SOCKET_IFNAME='lo')
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    torch.save(work(rank, *args), f'{folder}/rank{rank}.pth')
    dist.destroy_process_group()
