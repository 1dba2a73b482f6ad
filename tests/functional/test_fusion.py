import math

import pytest
import torch

from stgt_mm.functional.fusion import choose_weight, fuse_scores


def test_every_fusion_equals_its_formula():
    generator = torch.Generator().manual_seed(0)
    cosine = torch.rand(4, 3, generator=generator) * 2 - 1
    logits = torch.randn(4, 3, 2, generator=generator) * 3
    for i in range(4):
        for j in range(3):
            c, no, yes = float(cosine[i, j]), float(logits[i, j, 0]), float(logits[i, j, 1])
            probability = math.exp(yes) / (math.exp(no) + math.exp(yes))
            expected = {
                'itc': c,
                'itm': probability,
                'itm+itc': probability + c,
                'calibrated': c / 0.05 + 0.7 * (yes - no),
            }
            for fusion, value in expected.items():
                fused = fuse_scores(cosine, logits, fusion, temperature=0.05, weight=0.7)
                assert float(fused[i, j]) == pytest.approx(value, abs=1e-12)


def test_probability_keeps_apart_what_float32_would_saturate():
    logits = torch.tensor([[0.0, 20.0], [0.0, 25.0]])
    scores = fuse_scores(torch.zeros(2), logits, 'itm')
    assert scores[1] > scores[0]
    assert torch.sigmoid(torch.tensor(20.0)) == torch.sigmoid(torch.tensor(25.0))


def test_the_weight_is_the_best_of_the_grid_and_the_middle_of_a_plateau():
    assert choose_weight(lambda weight: -abs(weight - 0.9), (0.0, 0.5, 1.0)) == 1.0
    assert choose_weight(lambda weight: float(weight < 3), (0.0, 0.5, 1.0, 4.0)) == 0.5


def test_an_unknown_fusion_is_named():
    with pytest.raises(ValueError, match="score_fusion='sum'"):
        fuse_scores(torch.zeros(1), torch.zeros(1, 2), 'sum')
