"""Two gloo processes for a test."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tool_processes import SERVER


def in_two_processes(work, folder, *args):
    """What ``work(*args)`` returns in each of the two processes of a group."""
    method = SERVER.get_start_method()
    mp.start_processes(_in_group, (work, str(folder), args), nprocs=2, start_method=method)
    return [torch.load(f'{folder}/rank{rank}.pth', weights_only=True) for rank in range(2)]


def _in_group(rank, work, folder, args):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    torch.save(work(*args), f'{folder}/rank{rank}.pth')
    dist.destroy_process_group()
