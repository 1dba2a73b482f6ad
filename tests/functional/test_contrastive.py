import math

import pytest
import torch

from stgt_mm.functional.contrastive import contrastive_loss, related_pairs

VIDEOS = [0, 1, 0, 2, 3]
TEXTS = [10, 11, 12, 11, 13]


def reference(logits, own, related, smoothing, duplicates):
    """One row, in plain Python."""
    columns = [j for j in range(len(logits)) if duplicates != 'mask' or j == own or not related[j]]
    right = [j for j in columns if j == own or (duplicates == 'share' and related[j])]
    total = math.log(sum(math.exp(logits[j]) for j in columns))
    loss = 0.0
    for j in columns:
        target = (1 - smoothing) * (j in right) / len(right) + smoothing / len(columns)
        loss -= target * (logits[j] - total)
    return loss


def batch(rows=(1, 4)):
    generator = torch.manual_seed(0)
    logits = [3 * torch.randn(rows[1] - rows[0], 5, dtype=torch.float64, generator=generator) for _ in 'vt']
    videos, texts = torch.tensor(VIDEOS), torch.tensor(TEXTS)
    own = torch.arange(*rows)
    return (*logits, own, related_pairs(videos[own], texts[own], videos, texts))


def test_related_pairs_share_video_or_text():
    *_, own, related = batch()
    for row, i in enumerate(own.tolist()):
        for j in range(5):
            assert related[row, j] == (VIDEOS[i] == VIDEOS[j] or TEXTS[i] == TEXTS[j])


@pytest.mark.parametrize('duplicates', ['negative', 'share', 'mask'])
@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_equals_loop(duplicates, smoothing):
    v2t, t2v, own, related = batch()
    out = contrastive_loss(v2t, t2v, own, related, smoothing, duplicates)
    for row in range(len(own)):
        args = own[row].item(), related[row].tolist(), smoothing, duplicates
        expected = (reference(v2t[row].tolist(), *args) + reference(t2v[row].tolist(), *args)) / 2
        assert out[row].item() == pytest.approx(expected, abs=1e-12)


def test_paper_default_equals_torch_cross_entropy():
    v2t, t2v, own, related = batch()
    expected = [
        torch.nn.functional.cross_entropy(x, own, label_smoothing=0.1, reduction='none') for x in (v2t, t2v)
    ]
    torch.testing.assert_close(contrastive_loss(v2t, t2v, own, related), sum(expected) / 2)


@pytest.mark.parametrize('duplicates', ['negative', 'share', 'mask'])
def test_all_related_and_batch_of_one_stay_finite(duplicates):
    for size in (1, 3):
        logits = torch.randn(size, size, requires_grad=True)
        related = torch.ones(size, size, dtype=torch.bool)
        loss = contrastive_loss(logits, logits.T, torch.arange(size), related, 0.1, duplicates)
        loss.sum().backward()
        assert torch.isfinite(loss).all() and torch.isfinite(logits.grad).all()


def test_masked_duplicates_get_no_gradient():
    v2t, t2v, own, related = batch()
    v2t.requires_grad_()
    contrastive_loss(v2t, t2v, own, related, 0.1, 'mask').sum().backward()
    own_cell = torch.zeros_like(related)
    own_cell[torch.arange(3), own] = True
    assert (related & ~own_cell).any()
    assert (v2t.grad[related & ~own_cell] == 0).all() and (v2t.grad[~related] != 0).all()


def test_unknown_duplicates_is_named():
    with pytest.raises(ValueError, match="'drop'"):
        contrastive_loss(*batch(), duplicates='drop')
