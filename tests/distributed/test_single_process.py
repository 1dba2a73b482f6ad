import os
import subprocess
import sys

import pytest
import torch

from stgt_mm.distributed import (
    all_gather_with_grad,
    gather_ids,
    gather_no_grad,
    gather_padded,
    global_count,
    global_mean,
    mean_over_ranks,
    row_counts,
    row_offset,
    stable_ids,
)
from stgt_mm.preparation.wordpiece import train_wordpiece

NAMES = ['video/1', 'vidéo', '']
CAPTIONS = ['a red circle moves left', 'a blue square moves right and stops', 'the red circle grows']


def test_gathers_are_the_identity():
    x = torch.randn(3, 2, requires_grad=True)
    assert all_gather_with_grad(x) is x and gather_no_grad(x) is x and gather_padded(x, 0) is x
    assert row_counts(3, 'cpu') == [3] and row_offset([3]) == 0
    ids, all_ids = gather_ids(['a', 'b', 'c'])
    assert ids is all_ids


def test_global_mean_ignores_what_is_not_valid_even_if_not_finite():
    values = torch.tensor([1.0, float('nan'), 3.0], requires_grad=True)
    mean = global_mean(values, torch.tensor([True, False, True]))
    mean.backward()
    assert mean.item() == 2 and values.grad.tolist() == [0.5, 0, 0.5]
    assert global_count(torch.tensor([True, False, True])).item() == 2
    assert global_mean(values.detach()[:1]).item() == 1


def test_logged_means_are_the_values():
    values = {'loss': torch.tensor(2.0)}
    assert mean_over_ranks(values)['loss'] is values['loss']


def test_stable_ids_take_int64_and_refuse_the_rest():
    ids = torch.tensor([3, 4])
    assert stable_ids(ids) is ids
    with pytest.raises(ValueError, match=r'float32 of shape \(2,\)'):
        stable_ids(ids.float())


def test_ids_and_vocabularies_do_not_depend_on_how_a_process_hashes_strings():
    code = (
        'from stgt_mm.distributed import stable_ids\n'
        'from stgt_mm.preparation.wordpiece import train_wordpiece\n'
        f'print([stable_ids({NAMES}).tolist(), train_wordpiece({CAPTIONS}, 84)])'
    )
    seed = '2' if os.environ.get('PYTHONHASHSEED') == '1' else '1'
    environment = {**os.environ, 'PYTHONHASHSEED': seed}
    printed = subprocess.check_output([sys.executable, '-c', code], text=True, env=environment)
    ids = stable_ids(NAMES).tolist()
    assert printed == f'{[ids, train_wordpiece(CAPTIONS[::-1], 84)]}\n' and len(set(ids)) == 3
