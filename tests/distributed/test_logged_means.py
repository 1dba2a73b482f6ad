"""What is logged is the mean over the processes, on each of them."""

import json

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from stgt_mm.distributed import global_mean, mean_over_ranks


def _rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    values = torch.tensor([1.0, 2.0, 6.0])[:1] if rank == 0 else torch.tensor([2.0, 6.0])
    values.requires_grad_()
    logged = mean_over_ranks({'loss': global_mean(values), 'accuracy': torch.tensor(float(rank))})
    assert not logged['loss'].requires_grad
    (folder / f'{rank}.json').write_text(json.dumps({key: value.item() for key, value in logged.items()}))
    dist.destroy_process_group()


def test_uneven_parts_of_a_loss_become_the_global_loss_on_each_process(tmp_path):
    mp.spawn(_rank, (tmp_path,), nprocs=2)
    for rank in range(2):
        logged = json.loads((tmp_path / f'{rank}.json').read_text())
        assert logged == pytest.approx({'loss': 3.0, 'accuracy': 0.5})


def test_one_process_keeps_its_values():
    values = {'loss': torch.tensor(2.0)}
    assert mean_over_ranks(values)['loss'] is values['loss']
