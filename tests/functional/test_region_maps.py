import math

import pytest
import torch

from stgt_mm.functional.found_segments import best_segment, left_out_probability, segment_scores
from stgt_mm.functional.region_maps import group_regions, points_at, region_overlap
from stgt_mm.functional.temporal_grouping import foreground_probability


def test_a_region_follows_the_shares_between_patches():
    """Two rows of patches: the border is where the enlarged shares cross, not where the patches meet."""
    own = torch.tensor([[0.9], [0.3]])
    shares = torch.stack([own, 1 - own])[None, :, None]
    (regions,) = group_regions(shares, (8, 2))[:, 0]
    centres = ((torch.arange(8) + 0.5) / 4 - 0.5).clamp(0, 1)
    assert regions[:, 0].tolist() == (0.9 - 0.6 * centres < 0.5).int().tolist()


def test_overlap_is_counted_frame_by_frame():
    torch.manual_seed(0)
    regions, masks = torch.randint(4, (3, 5, 6)), torch.rand(3, 5, 6) > 0.5
    masks[1] = False
    found = region_overlap(regions, masks, 4)
    for frame in (0, 2):
        for group in range(4):
            one, two = (
                {*map(tuple, own.nonzero().tolist())} for own in (regions[frame] == group, masks[frame])
            )
            assert found[frame, group].item() == pytest.approx(len(one & two) / len(one | two))
    assert found[1].isnan().all()


def test_a_group_points_at_the_centre_of_its_best_patch():
    shares, masks = torch.zeros(2, 2, 3, 2), torch.zeros(2, 6, 8).bool()
    shares[0, 0, 2, 1] = shares[1, 0, 0, 1] = 0.3
    masks[0, 4:, 6:] = True  # pixel (5, 6) is the centre of the patch (2, 1)
    assert points_at(shares, masks)[0].tolist() == [1, 0]
    masks[0, 5, 6] = False
    assert points_at(shares, masks)[0].tolist() == [0, 0]
    assert points_at(shares, masks)[1].isnan().all()


def test_the_best_segment_is_that_of_all_splits():
    torch.manual_seed(1)
    frames = torch.randn(20, 6, 3)
    found = best_segment(frames)
    unit = torch.nn.functional.normalize(frames, dim=-1)

    def spread(clip, mask):
        return sum((side - side.mean(dim=0)).square().sum().item() for side in (clip[mask], clip[~mask]))

    for clip, own in zip(unit, found):
        splits = [torch.arange(6).ge(s) & torch.arange(6).lt(e) for s in range(6) for e in range(s + 1, 7)]
        least = min(spread(clip, mask) for mask in splits if not mask.all())
        assert spread(clip, own) == pytest.approx(least, abs=1e-5)


def test_without_itself_a_random_frame_is_found_by_chance():
    torch.manual_seed(2)
    frames, mask = torch.randn(4000, 8, 16), torch.zeros(4000, 8)
    mask[:, 2:6] = 1
    rates = [
        (probability(frames, mask) > 0.5).eq(mask > 0).float().mean().item()
        for probability in (left_out_probability, foreground_probability)
    ]
    assert abs(rates[0] - 0.5) < 0.02 < 0.3 < rates[1] - 0.5
    # against the definition, of one frame
    z, m = frames[0], mask[0]
    rest = torch.tensor([index for index in range(8) if index != 3])
    centres = [z[rest][m[rest] == side].mean(dim=0) for side in (1, 0)]
    cosines = [torch.cosine_similarity(z[3], centre, dim=0).item() for centre in centres]
    expected = 1 / (1 + math.exp(-(cosines[0] - cosines[1]) / 0.1))
    assert left_out_probability(frames[:1], mask[:1])[0, 3].item() == pytest.approx(expected, abs=1e-5)


def test_boundaries_may_be_one_frame_off():
    mask = torch.tensor([[0, 0, 1, 1, 1, 0, 0, 0]]).bool().expand(5, -1)
    found = torch.tensor(
        [
            [0, 0, 1, 1, 1, 0, 0, 0],
            [0, 1, 1, 0, 1, 1, 0, 0],
            [1, 1, 1, 1, 1, 0, 0, 0],
            [0, 0, 1, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
        ]
    ).bool()
    right, boundaries = segment_scores(found, mask)
    assert right.tolist() == [1, 0.625, 0.75, 0.75, 0.625]
    assert boundaries.tolist() == [True, True, False, False, False]
