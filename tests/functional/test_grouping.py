"""Grouping, grounding, cut and paste: each equation against loops in float64."""

import math

import pytest
import torch

from stgt_mm.functional.cut_paste import Segments, blend_clips, draw_partners, draw_segments
from stgt_mm.functional.grounding import grounding_similarity
from stgt_mm.functional.grouping import ASSIGNMENTS, assign_to_groups, mean_of_groups
from stgt_mm.functional.temporal_grouping import (
    foreground_probability,
    has_both_sides,
    temporal_grouping_loss,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def unit(*shape, seed=0):
    return torch.nn.functional.normalize(normal(*shape, seed=seed), dim=-1)


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('assign', ASSIGNMENTS)
def test_every_token_is_shared_out_over_the_groups(assign, training):
    logits = normal(2, 3, 5).requires_grad_()
    shares = assign_to_groups(logits, assign, training)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2, 5, dtype=torch.float64))
    if assign != 'soft':
        assert set(shares.detach().unique().round(decimals=9).tolist()) == {0, 1}
    if assign != 'gumbel' or not training:
        wanted = logits.softmax(1) if assign == 'soft' else logits.argmax(1)
        found = shares if assign == 'soft' else shares.argmax(1)
        assert torch.equal(found, wanted)
        # straight-through: the gradient is the softmax's
        weights = normal(2, 3, 5, seed=1)
        (own,) = torch.autograd.grad((shares * weights).sum(), logits)
        (soft,) = torch.autograd.grad((logits.softmax(1) * weights).sum(), logits)
        torch.testing.assert_close(own, soft)


def test_gumbel_draws_in_training_only():
    logits = torch.zeros(1, 2, 200)
    assert assign_to_groups(logits, 'gumbel', True)[0, 0].mean() == pytest.approx(0.5, abs=0.2)
    assert assign_to_groups(logits, 'gumbel', False)[0, 0].eq(1).all()
    with pytest.raises(ValueError, match="'hard'"):
        assign_to_groups(logits, 'hard')


def test_a_group_has_the_smoothed_mean_of_its_tokens_and_without_any_zero():
    assignment = torch.tensor([[[1, 0, 1], [0, 1, 0], [0, 0, 0]]], dtype=torch.float64)
    values = normal(1, 3, 4)
    wanted = torch.stack([(values[0, 0] + values[0, 2]) / 3, values[0, 1] / 2, torch.zeros(4).double()])
    torch.testing.assert_close(mean_of_groups(assignment, values)[0], wanted)


def reference_grounding(nouns, mask, groups, temperature):
    phrases = [k for k in range(len(nouns)) if mask[k]]
    total = 0.0
    for k in phrases:
        cosines = [float(nouns[k] @ group) for group in groups]
        weights = [math.exp(cosine / temperature) for cosine in cosines]
        total += sum(w * c for w, c in zip(weights, cosines)) / sum(weights)
    return total / max(len(phrases), 1)


def test_grounding_equals_loops():
    nouns, groups = unit(3, 2, 4), unit(5, 6, 4, seed=1)
    mask = torch.tensor([[1, 1], [1, 0], [0, 0]]).bool()
    found = grounding_similarity(nouns, mask, groups, torch.tensor(0.2, dtype=torch.float64))
    wanted = [[reference_grounding(nouns[t], mask[t], groups[v], 0.2) for v in range(5)] for t in range(3)]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), atol=1e-12, rtol=0)


def test_a_region_that_no_noun_wants_costs_nothing():
    nouns, mask = unit(1, 1, 4), torch.ones(1, 1)
    groups = torch.stack([nouns[0, 0], -nouns[0, 0], -nouns[0, 0]])[None]
    few, many = (
        grounding_similarity(nouns, mask, part, torch.tensor(0.01)) for part in (groups[:, :1], groups)
    )
    torch.testing.assert_close(few, many, atol=1e-12, rtol=0)


def reference_foreground(frames, mask, temperature):
    out = []
    centres = [
        sum(z for z, m in zip(frames, mask) if m == side) / max(sum(m == side for m in mask), 1)
        for side in (1, 0)
    ]
    for z in frames:
        front, back = (math.exp(float(z @ c / (z.norm() * c.norm())) / temperature) for c in centres)
        out.append(front / (front + back))
    return out


def test_foreground_and_both_losses_equal_loops():
    frames, mask = normal(2, 6, 5), torch.tensor([[1, 1, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1]])
    found = foreground_probability(frames, mask, 0.3)
    wanted = [reference_foreground(z, m, 0.3) for z, m in zip(frames, mask.tolist())]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), atol=1e-12, rtol=0)
    squared = [sum((a - m) ** 2 for a, m in zip(*row)) / 6 for row in zip(wanted, mask.tolist())]
    entropy = [
        -sum(math.log(a if m else 1 - a) for a, m in zip(*row)) / 6 for row in zip(wanted, mask.tolist())
    ]
    for kind, own in (('mse', squared), ('bce', entropy)):
        losses = temporal_grouping_loss(found, mask, kind)
        torch.testing.assert_close(losses, torch.tensor(own, dtype=torch.float64), atol=1e-12, rtol=0)
    with pytest.raises(ValueError, match="'l1'"):
        temporal_grouping_loss(found, mask, 'l1')


def test_temporal_grouping_is_solved_when_the_parts_differ_and_says_nothing_of_one_part():
    frames = torch.tensor([[[1.0, 0]] * 3 + [[-1.0, 0]] * 3])
    mask = torch.tensor([[1.0, 1, 1, 0, 0, 0]])
    for kind in ('mse', 'bce'):
        assert temporal_grouping_loss(foreground_probability(frames, mask), mask, kind).item() < 1e-6
    whole = torch.ones(1, 6)
    assert has_both_sides(torch.cat([mask, whole, 0 * whole])).tolist() == [True, False, False]
    assert foreground_probability(frames, whole).isfinite().all()


@pytest.mark.parametrize('clips', [2, 3, 8])
def test_partners_are_a_permutation_without_fixed_points(clips):
    torch.manual_seed(0)
    for _ in range(20):
        partners = draw_partners(clips).tolist()
        assert sorted(partners) == list(range(clips))
        assert all(partner != own for own, partner in enumerate(partners))


def test_partners_are_drawn_evenly():
    torch.manual_seed(0)
    seen = torch.stack([draw_partners(4) for _ in range(3000)])
    for other in range(1, 4):
        assert (seen[:, 0] == other).float().mean() == pytest.approx(1 / 3, abs=0.04)


@pytest.mark.parametrize('tubelet', [1, 2])
def test_a_blend_is_the_segment_in_order_on_the_other_clip(tubelet):
    torch.manual_seed(1)
    clips = torch.arange(5 * 16).view(5, 16, 1)  # its own place in every frame
    seen = set()
    for _ in range(30):
        segments = draw_segments(5, 16 // tubelet, 0.7, 0.25, 0.75)
        blended, mask = blend_clips(clips, segments, tubelet)
        for row in range(5):
            partner, length, source, target = (int(part[row]) * tubelet for part in segments)
            partner //= tubelet
            whole = mask[row].repeat_interleave(tubelet).tolist()
            seen.add(length)
            if not length:
                assert blended[row].tolist() == clips[row].tolist() and set(whole) == {1}
                continue
            assert 4 <= length <= 12 and source + length <= 16 and target + length <= 16
            for place in range(16):
                inside = target <= place < target + length
                assert whole[place] == inside
                wanted = 16 * row + place - target + source if inside else 16 * partner + place
                assert blended[row, place].item() == wanted
    assert {0, 4, 12} <= seen


def test_what_cannot_be_blended_stays():
    clips = torch.randn(1, 4, 2)
    for count, length in ((1, 4), (3, 1)):
        segments = draw_segments(count, length, 1.0, 0.25, 0.75)
        assert isinstance(segments, Segments) and not segments.length.any()
    blended, mask = blend_clips(clips, draw_segments(1, 4, 1.0, 0.25, 0.75))
    assert torch.equal(blended, clips) and mask.tolist() == [[1, 1, 1, 1]]
    lengths = draw_segments(400, 2, 1.0, 0.01, 0.99).length
    assert set(lengths.tolist()) == {1}, 'a tubelet of either side is left'
