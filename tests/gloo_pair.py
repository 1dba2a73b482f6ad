"""Two gloo processes for a test."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

# A new interpreter imports torch for seconds; but autograd with a GPU's threads cannot be forked.
START = 'spawn' if torch.cuda.is_available() else 'fork'


def in_two_processes(work, folder, *args):
    """What ``work(*args)`` returns in each of the two processes of a group."""
    mp.start_processes(_in_group, (work, str(folder), args), nprocs=2, start_method=START)
    return [torch.load(f'{folder}/rank{rank}.pth', weights_only=True) for rank in range(2)]


def _in_group(rank, work, folder, args):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    torch.save(work(*args), f'{folder}/rank{rank}.pth')
    dist.destroy_process_group()
