import math

import pytest
import torch

from stgt_mm.functional.matching import matching_batch, matching_loss


def test_batch_keeps_order_labels_and_validity():
    positive, text, video = (torch.full((3, 2), float(i)) for i in range(3))
    valid_text = torch.tensor([True, False, False])
    valid_video = torch.tensor([True, True, False])
    logits, labels, valid = matching_batch(positive, text, video, valid_text, valid_video)
    assert logits[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert labels.tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert valid.tolist() == [True, True, False, True, False, False, True, True, False]


@pytest.mark.parametrize('smoothing', [0.0, 0.2])
def test_loss_equals_loop(smoothing):
    logits = torch.randn(6, 2, dtype=torch.float64, generator=torch.manual_seed(0))
    labels = torch.tensor([1, 1, 0, 0, 0, 1])
    out = matching_loss(logits, labels, smoothing)
    for i, (no, yes) in enumerate(logits.tolist()):
        total = math.log(math.exp(no) + math.exp(yes))
        target = smoothing / 2 + (1 - smoothing) * labels[i].item()
        expected = -(target * (yes - total) + (1 - target) * (no - total))
        assert out[i].item() == pytest.approx(expected, abs=1e-12)
