"""Starting several processes, with GPUs or without."""

import os
import subprocess
import warnings

import torch
import torch.distributed as torch_dist
from mmengine.dist import is_distributed


def init_distributed(launcher: str) -> None:
    """Joins the process group when there is no GPU; with GPUs mmengine does it.

    mmengine selects a GPU for each process without asking whether there is one. ``launcher`` is ``'none'``,
    ``'pytorch'`` (torchrun) or ``'slurm'``; a ValueError says which of its variables are absent, or that
    there are more processes than GPUs.
    """
    if launcher == 'none' or is_distributed():
        return
    if launcher == 'slurm':
        _adopt_slurm_variables()
    # mmengine's wrapper of models still uses torch's old name of an option
    warnings.filterwarnings('ignore', '.*broadcast_buffers.* is deprecated', FutureWarning)
    absent = [name for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR') if name not in os.environ]
    if absent:
        raise ValueError(
            f'--launcher {launcher}: {", ".join(absent)} not set. Start through tools/dist_train.sh CONFIG '
            'GPUS, which runs one process a GPU.'
        )
    gpus = torch.cuda.device_count()
    if gpus == 0:
        torch_dist.init_process_group('gloo')
    elif int(os.environ['LOCAL_RANK']) >= gpus:
        raise ValueError(
            f'process {os.environ["LOCAL_RANK"]} of this machine has no GPU: {gpus} available. '
            f'Start at most {gpus} processes a machine.'
        )


def local_rank(launcher: str | None = None) -> int:
    """Numbers this process among those of its machine, from 0, before any process group is there."""
    return int(os.environ.get('SLURM_LOCALID' if launcher == 'slurm' else 'LOCAL_RANK', '0'))


def _adopt_slurm_variables() -> None:
    if 'SLURM_PROCID' not in os.environ:
        raise ValueError(
            '--launcher slurm outside a Slurm job: use tools/slurm_train.sh PARTITION JOB_NAME CONFIG.'
        )
    os.environ['RANK'] = os.environ['SLURM_PROCID']
    os.environ['WORLD_SIZE'] = os.environ['SLURM_NTASKS']
    os.environ['LOCAL_RANK'] = str(local_rank('slurm'))
    # the same for all tasks of a job, and another one for most other jobs on these nodes
    os.environ.setdefault('MASTER_PORT', str(20000 + int(os.environ.get('SLURM_JOB_ID', '0')) % 10000))
    if 'MASTER_ADDR' in os.environ:
        return
    if os.environ.get('SLURM_NNODES', os.environ.get('SLURM_JOB_NUM_NODES')) == '1':
        os.environ['MASTER_ADDR'] = '127.0.0.1'
        return
    command = ['scontrol', 'show', 'hostname', os.environ.get('SLURM_NODELIST', '')]
    try:
        hosts = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        os.environ['MASTER_ADDR'] = hosts[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise ValueError(
            f'{" ".join(command)} does not name the first node of the job ({error}). Set MASTER_ADDR to it.'
        ) from error
