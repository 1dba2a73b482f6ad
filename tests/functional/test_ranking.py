import itertools

import pytest
import torch

from stgt_mm.functional.ranking import (
    RankCounts,
    Relation,
    best_of_groups,
    count_ranks,
    hits,
    ranks,
    retrieval_metrics,
    row_chunks,
)


def random_case(seed, queries=12, items=7, levels=4):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(levels, (queries, items), generator=generator).double()
    relevant = torch.rand(queries, items, generator=generator) < 0.3
    relevant[torch.arange(queries), torch.randint(items, (queries,), generator=generator)] = True
    return scores, relevant


def brute_force_first_places(row, relevant):
    """Rank (from 1) of the first relevant item for every order of the items that sorts the scores."""
    places = []
    for order in itertools.permutations(range(len(row))):
        values = [row[i] for i in order]
        if all(a >= b for a, b in itertools.pairwise(values)):
            places.append(1 + next(n for n, i in enumerate(order) if relevant[i]))
    return places


@pytest.mark.parametrize('seed', range(3))
def test_ranks_and_hits_equal_all_orders_of_the_tied_items(seed):
    scores, relevant = random_case(seed, items=6)
    counts = count_ranks(scores, relevant)
    places = [brute_force_first_places(row.tolist(), own.tolist()) for row, own in zip(scores, relevant)]
    mean = [sum(own) / len(own) for own in places]
    assert ranks(counts).tolist() == pytest.approx(mean, abs=1e-12)
    assert ranks(counts, 'optimistic').tolist() == [min(own) for own in places]
    assert hits(counts, 1, 'optimistic').tolist() == [float(min(own) == 1) for own in places]
    for cutoff in (1, 2, 5):
        chance = [sum(place <= cutoff for place in own) / len(own) for own in places]
        assert hits(counts, cutoff).tolist() == pytest.approx(chance, abs=1e-12)


@pytest.mark.parametrize('seed', range(3))
def test_pessimistic_puts_every_tied_irrelevant_item_first(seed):
    scores, relevant = random_case(seed)
    counts = count_ranks(scores, relevant)
    worst = []
    for row, own in zip(scores, relevant):
        best = row[own].max()
        worst.append(1 + int(((row >= best) & ~own).sum()))
    assert ranks(counts, 'pessimistic').tolist() == worst


def test_constant_scores_give_the_recall_of_guessing():
    counts = count_ranks(torch.zeros(20, 20), torch.eye(20, dtype=torch.bool))
    metrics = retrieval_metrics(counts)
    assert metrics['R1'] == pytest.approx(5.0) and metrics['R10'] == pytest.approx(50.0)
    assert metrics['MnR'] == pytest.approx(10.5) and metrics['MdR'] == pytest.approx(10.5)
    assert retrieval_metrics(counts, 'optimistic')['R1'] == 100.0
    assert retrieval_metrics(counts, 'pessimistic')['R10'] == 0.0


def test_metrics_without_ties_follow_the_definition():
    counts = RankCounts(torch.tensor([0, 3, 7, 40]), torch.zeros(4, dtype=int), torch.ones(4, dtype=int))
    metrics = retrieval_metrics(counts)
    assert metrics == {'R1': 25.0, 'R5': 50.0, 'R10': 75.0, 'Rmean': 50.0, 'MdR': 6.0, 'MnR': 13.5}


@pytest.mark.parametrize('seed', range(3))
def test_tiers_equal_sorting_by_pairs(seed):
    scores, relevant = random_case(seed, queries=30, items=9)
    tier = torch.rand(scores.shape, generator=torch.Generator().manual_seed(seed + 50)) < 0.4
    counts = count_ranks(scores, relevant, tier)
    for row in range(len(scores)):
        keys = list(zip(tier[row].tolist(), scores[row].tolist()))
        best = max(key for key, own in zip(keys, relevant[row]) if own)
        assert int(counts.better[row]) == sum(key > best for key in keys)
        level = [bool(own) for key, own in zip(keys, relevant[row]) if key == best]
        assert int(counts.tied[row]) == level.count(False)
        assert int(counts.relevant[row]) == level.count(True)


def test_tiers_are_exact_where_a_shift_would_round():
    scores = torch.tensor([[1e30, 1.0, 1.0 + 2**-52]], dtype=torch.float64)
    relevant = torch.tensor([[False, True, False]])
    counts = count_ranks(scores, relevant, torch.tensor([[0, 1, 1]]))
    assert [int(value) for value in counts] == [1, 0, 1]


@pytest.mark.parametrize('seed', range(3))
def test_best_of_groups_equals_a_loop(seed):
    scores, _ = random_case(seed, items=8)
    tier = torch.rand(scores.shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    lists = [[0], [1], [0, 2], [2], [1], [3], [3, 0], [1]]
    relation = Relation.from_lists(lists)
    best, tiers = best_of_groups(scores, relation, 4, tier)
    for row in range(len(scores)):
        for group in range(4):
            members = [item for item, own in enumerate(lists) if group in own]
            expected = max((bool(tier[row, i]), float(scores[row, i])) for i in members)
            assert (bool(tiers[row, group]), float(best[row, group])) == expected


def test_relation_round_trip_and_mask():
    relation = Relation.from_lists([[0, 2], [1], [2]])
    dense = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 1]], dtype=torch.bool)
    assert torch.equal(relation.mask(0, 3, 3), dense)
    assert torch.equal(relation.mask(1, 3, 3), dense[1:])
    assert torch.equal(relation.swapped.mask(0, 3, 3), dense.T)
    assert not relation.is_one_to_one()
    assert Relation.from_lists([[1], [0]]).is_one_to_one()


def test_row_chunks_cover_every_row_once():
    assert list(row_chunks(5, 4, budget=8)) == [(0, 2), (2, 4), (4, 5)]
    assert list(row_chunks(2, 100, budget=8)) == [(0, 1), (1, 2)]


def test_bad_scores_are_errors():
    scores, relevant = torch.zeros(2, 3), torch.tensor([[True, False, False], [False, True, False]])
    scores[0, 1] = scores[1, 2] = float('nan')
    with pytest.raises(ValueError, match='2 of 6 scores are NaN'):
        count_ranks(scores, relevant)
    with pytest.raises(ValueError, match='1 queries have no relevant item, the first is row 1'):
        count_ranks(torch.zeros(2, 3), torch.tensor([[True, False, False], [False, False, False]]))
    with pytest.raises(ValueError, match="ties='random'"):
        ranks(count_ranks(torch.zeros(2, 3), relevant), 'random')
