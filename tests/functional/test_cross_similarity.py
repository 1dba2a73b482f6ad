import math

import pytest
import torch

from stgt_mm.functional.cross_similarity import cross_similarity_loss, cross_similarity_targets


def reference_targets(s_vv, s_tt, own, gamma, floor):
    """One row of STGT Eq. 18-20, in plain Python."""
    weights = []
    for j, (v, t) in enumerate(zip(s_vv, s_tt)):
        product = max(v, 0.0) * max(t, 0.0)
        weights.append(math.exp(gamma * product) if product >= floor or j == own else 0.0)
    return [w / sum(weights) for w in weights]


def batch(rows=3, columns=5):
    generator = torch.manual_seed(1)
    s_vv, s_tt = (2 * torch.rand(rows, columns, dtype=torch.float64, generator=generator) - 1 for _ in 'vt')
    own = torch.arange(rows) + 1
    s_vv[torch.arange(rows), own] = s_tt[torch.arange(rows), own] = 1
    return s_vv, s_tt, own


@pytest.mark.parametrize('gamma, floor', [(5.0, 0.05), (1.0, 0.0), (20.0, 0.5)])
def test_targets_equal_loop(gamma, floor):
    s_vv, s_tt, own = batch()
    assert ((s_vv < 0) & (s_tt < 0)).any(), 'the case of two opposites must occur'
    out = cross_similarity_targets(s_vv, s_tt, own, gamma, floor)
    expected = [
        reference_targets(s_vv[i].tolist(), s_tt[i].tolist(), own[i].item(), gamma, floor) for i in range(3)
    ]
    torch.testing.assert_close(out, torch.tensor(expected, dtype=out.dtype), rtol=0, atol=1e-12)


def test_loss_equals_loop():
    s_vv, s_tt, own = batch()
    generator = torch.manual_seed(2)
    logits = [4 * torch.randn(3, 5, dtype=torch.float64, generator=generator) for _ in 'vt']
    targets = cross_similarity_targets(s_vv, s_tt, own)
    out = cross_similarity_loss(*logits, targets, 0.01)
    for i in range(3):
        expected = 0.0
        for direction in logits:
            row = direction[i].tolist()
            total = math.log(sum(math.exp(x) for x in row))
            for j in range(5):
                expected -= (0.99 * targets[i, j].item() + 0.01 / 5) * (row[j] - total) / 2
        assert out[i].item() == pytest.approx(expected, abs=1e-12)


def test_own_column_is_never_left_out():
    zero = torch.zeros(2, 4)
    targets = cross_similarity_targets(zero, zero, torch.tensor([2, 0]))
    assert targets.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]


def test_a_floor_of_one_gives_the_contrastive_target():
    s_vv, s_tt, own = batch()
    targets = cross_similarity_targets(s_vv, s_tt, own, target_floor=1.0)
    assert torch.equal(targets, torch.nn.functional.one_hot(own, 5).to(targets.dtype))


def test_batch_of_identical_clips_is_uniform():
    one = torch.ones(4, 4)
    torch.testing.assert_close(cross_similarity_targets(one, one, torch.arange(4)), one / 4)
