import pytest
import torch
from torch.nn import functional as F

from stgt_mm.functional.contrastive import contrastive_loss
from stgt_mm.functional.cross_similarity import cross_similarity_targets
from stgt_mm.models.losses import CSAL, VTC, VTG, VTM
from stgt_mm.registry import MODELS


def logits(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.manual_seed(len(shape)))


@pytest.mark.parametrize('name', ['VTC', 'CSAL', 'VTM', 'VTG'])
def test_registered_under_its_name_without_parameters(name):
    loss = MODELS.build({'type': name, 'loss_weight': 0.25})
    assert type(loss).__name__ == name
    assert not list(loss.parameters()) and not loss.state_dict()


def test_vtc_is_the_mean_over_pairs_times_its_weight():
    v2t, t2v, own = logits(4, 4), logits(4, 4).T, torch.arange(4)
    related = torch.eye(4, dtype=torch.bool)
    related[0, 2] = related[2, 0] = True
    for duplicates in ('negative', 'share', 'mask'):
        expected = contrastive_loss(v2t, t2v, own, related, 0.2, duplicates).mean()
        out = VTC(0.2, duplicates, loss_weight=3.0)(v2t, t2v, own, related)
        torch.testing.assert_close(out, 3 * expected)


@pytest.mark.parametrize('detach', [True, False])
def test_csal_gradient_reaches_targets_only_when_asked(detach):
    similarity, own = logits(3, 3).tanh().requires_grad_(), torch.arange(3)
    csal = CSAL(gamma=2.0, target_floor=0.0, detach_targets=detach)
    targets = csal.targets(similarity, similarity, own)
    torch.testing.assert_close(
        targets.detach(), cross_similarity_targets(similarity, similarity, own, 2.0, 0.0).detach()
    )
    student = logits(3, 3).requires_grad_()
    csal(student, student.T, targets).backward()
    assert student.grad.abs().sum() > 0
    assert (similarity.grad is None) == detach


def test_vtm_counts_valid_pairs_only_and_empty_is_an_attached_zero():
    scores, labels = logits(5, 2).requires_grad_(), torch.tensor([1, 0, 0, 1, 0])
    valid = torch.tensor([True, False, True, True, False])
    torch.testing.assert_close(VTM()(scores, labels, valid), F.cross_entropy(scores[valid], labels[valid]))
    zero = VTM()(scores, labels, torch.zeros(5, dtype=torch.bool))
    zero.backward()
    assert zero.item() == 0 and (scores.grad == 0).all()


def test_vtg_divides_by_the_number_of_tokens():
    scores = logits(2, 4, 7).requires_grad_()
    ids, mask = torch.tensor([[1, 2, 3, 4], [1, 5, 0, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()
    rows = torch.cat([scores[0, :3], scores[1, :1]])
    expected = F.cross_entropy(rows, torch.tensor([2, 3, 4, 5]), label_smoothing=0.1)
    torch.testing.assert_close(VTG()(scores, ids, mask), expected)
    zero = VTG()(scores[:, :1], ids[:, :1], mask[:, :1])
    zero.backward()
    assert zero.item() == 0 and (scores.grad == 0).all()


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="'drop'"):
        VTC(duplicates='drop')
    with pytest.raises(ValueError, match='gamma must be positive, got 0'):
        CSAL(gamma=0)
    with pytest.raises(ValueError, match='target_floor must lie'):
        CSAL(target_floor=2)
