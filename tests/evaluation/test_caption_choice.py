import pytest
import torch

from stgt_mm.evaluation.caption_choice import choice_accuracy


def test_accuracy_by_kind_with_ties_counting_half():
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [2.0, 1.0]])
    result = choice_accuracy(scores, ['order', 'order', 'colour', 'colour'])
    assert result == {'accuracy': 62.5, 'colour': 75.0, 'order': 50.0}


def test_nothing_to_choose_and_nan_are_errors():
    with pytest.raises(ValueError, match='no choice'):
        choice_accuracy(torch.zeros(0, 2), [])
    with pytest.raises(ValueError, match='1 of 2 choice scores are NaN'):
        choice_accuracy(torch.tensor([[0.0, float('nan')]]), ['order'])
