import math

import pytest
import torch

from stgt_mm.functional.negatives import negative_probabilities, sample_negatives


def batch(rows=4, columns=6, dtype=torch.float64):
    generator = torch.manual_seed(0)
    similarity = 3 * torch.randn(rows, columns, dtype=dtype, generator=generator)
    forbidden = torch.rand(rows, columns, generator=generator) < 0.4
    forbidden[-1] = True
    forbidden[0, 0] = False
    return similarity, forbidden


@pytest.mark.parametrize('hard_fraction', [0.0, 0.5, 1.0])
def test_probabilities_equal_loop(hard_fraction):
    similarity, forbidden = batch()
    out = negative_probabilities(similarity, forbidden, hard_fraction)
    for i in range(3):
        allowed = [j for j in range(6) if not forbidden[i, j]]
        total = sum(math.exp(similarity[i, j]) for j in allowed)
        for j in range(6):
            expected = 0.0
            if j in allowed:
                hard = math.exp(similarity[i, j]) / total
                expected = hard_fraction * hard + (1 - hard_fraction) / len(allowed)
            assert out[i, j].item() == pytest.approx(expected, abs=1e-12)
    assert (out[3] == 0).all()


@pytest.mark.parametrize('hard_fraction', [0.0, 0.5, 1.0])
def test_draws_follow_the_probabilities(hard_fraction):
    draws = 20000
    similarity, forbidden = batch()
    expected = negative_probabilities(similarity, forbidden, hard_fraction)[:3]
    noise = torch.rand(draws * 3, 6, dtype=torch.float64, generator=torch.manual_seed(1))
    columns, valid = sample_negatives(
        similarity[:3].repeat(draws, 1), forbidden[:3].repeat(draws, 1), noise, hard_fraction
    )
    drawn = torch.nn.functional.one_hot(columns.view(draws, 3), 6).double().mean(dim=0)
    assert valid.all()
    assert (drawn - expected).abs().max() < 5 * 0.5 / math.sqrt(draws)  # five standard deviations
    assert (drawn[forbidden[:3]] == 0).all()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('value', [0.0, 1.0 - 1e-7])
@pytest.mark.parametrize('hard_fraction', [0.0, 1.0])
def test_never_forbidden_at_the_borders_of_the_noise(dtype, value, hard_fraction):
    similarity = torch.tensor([[1000.0, 0.0, 999.0], [-1000.0, 0.0, 1000.0]], dtype=dtype)
    forbidden = torch.tensor([[True, False, True], [False, True, True]])
    noise = torch.full((2, 3), value)
    for worst in (0.0, 1.0 - 1e-7):
        noise[forbidden] = worst
        columns, valid = sample_negatives(similarity, forbidden, noise, hard_fraction)
        assert columns.tolist() == [1, 0] and valid.all()


def test_row_without_negative_is_flagged_and_not_invented():
    for size in (1, 3):
        similarity = torch.randn(size, size)
        columns, valid = sample_negatives(
            similarity, torch.ones(size, size, dtype=torch.bool), torch.rand(size, size), 0.5
        )
        assert columns.tolist() == [0] * size and not valid.any()


def test_wrong_arguments_are_named():
    similarity, forbidden = batch()
    with pytest.raises(ValueError, match=r'1\.5'):
        sample_negatives(similarity, forbidden, torch.rand(4, 6), 1.5)
    with pytest.raises(ValueError, match=r'\(4, 5\)'):
        sample_negatives(similarity, forbidden, torch.rand(4, 5))
