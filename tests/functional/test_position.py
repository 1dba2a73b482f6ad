import math

import pytest
import torch

from stgt_mm.functional.position import resize_temporal, sincos_position, to_grid


@pytest.mark.parametrize('grid', [3, (2, 5)])
def test_sincos_equals_the_formula(grid):
    rows, columns = to_grid(grid)
    table = sincos_position(16, grid)
    assert table.shape == (1 + rows * columns, 16)
    assert not table[0].any()
    for r in range(rows):
        for c in range(columns):
            wanted = []
            for position in (c, r):
                angles = [position / 10000 ** (i / 4) for i in range(4)]
                wanted += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
            assert torch.allclose(table[1 + r * columns + c], torch.tensor(wanted))


def test_resize_is_linear_and_keeps_the_table_at_its_own_length():
    table = torch.randn(8, 3)
    assert resize_temporal(table, 8) is table
    assert torch.allclose(resize_temporal(table, 4), (table[::2] + table[1::2]) / 2)
    assert torch.equal(resize_temporal(table, 16, 'nearest'), table.repeat_interleave(2, 0))


def test_bad_arguments_name_their_value():
    with pytest.raises(ValueError, match='30'):
        sincos_position(30, 4)
    with pytest.raises(ValueError, match='cubic'):
        resize_temporal(torch.zeros(4, 2), 8, 'cubic')
    with pytest.raises(ValueError, match='0'):
        to_grid((0, 4))
