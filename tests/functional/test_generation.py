import math

import pytest
import torch

from stgt_mm.functional.generation import generation_loss

VOCAB = 7
LENGTHS = [5, 3, 1]


def batch(dtype=torch.float64):
    generator = torch.manual_seed(0)
    logits = torch.randn(3, 5, VOCAB, dtype=torch.float64, generator=generator).to(dtype)
    ids = torch.randint(VOCAB, (3, 5), generator=generator)
    mask = torch.arange(5) < torch.tensor(LENGTHS).unsqueeze(1)
    return logits, ids, mask


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_equals_loop(smoothing):
    logits, ids, mask = batch()
    losses, valid = generation_loss(logits, ids, mask, smoothing)
    assert losses.shape == valid.shape == (3, 4)
    for b in range(3):
        for position in range(4):
            if position + 1 >= LENGTHS[b]:
                assert not valid[b, position] and losses[b, position] == 0
                continue
            row = logits[b, position].tolist()
            total = math.log(sum(math.exp(x) for x in row))
            expected = -sum(
                ((1 - smoothing) * (v == ids[b, position + 1].item()) + smoothing / VOCAB) * (row[v] - total)
                for v in range(VOCAB)
            )
            assert valid[b, position] and losses[b, position].item() == pytest.approx(expected, abs=1e-12)


def test_first_id_and_what_stands_at_padding_make_no_difference():
    logits, ids, mask = batch()
    other = torch.where(mask, ids, (ids + 1) % VOCAB)
    other[:, 0] = (ids[:, 0] + 3) % VOCAB
    assert torch.equal(generation_loss(logits, ids, mask)[0], generation_loss(logits, other, mask)[0])


def test_last_logits_get_no_gradient():
    logits, ids, mask = batch()
    logits.requires_grad_()
    generation_loss(logits, ids, mask)[0].sum().backward()
    assert (logits.grad[:, -1] == 0).all() and (logits.grad[0, :-1] != 0).any()


def test_bfloat16_logits_and_single_token_texts():
    losses, _ = generation_loss(*batch(torch.bfloat16))
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses.double(), generation_loss(*batch())[0], rtol=0.05, atol=0.05)
    logits, ids, mask = batch()
    losses, valid = generation_loss(logits[:, :1], ids[:, :1], mask[:, :1])
    assert losses.shape == valid.shape == (3, 0)


def test_wrong_shapes_are_named():
    logits, ids, mask = batch()
    with pytest.raises(ValueError, match=r'\(3, 4, 7\)'):
        generation_loss(logits[:, :4], ids, mask)
