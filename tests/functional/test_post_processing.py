"""Dual softmax and inverted softmax against loops in float64, in linear space as the papers write them."""

import math

import pytest
import torch

from stgt_mm.functional import post_processing
from stgt_mm.functional.post_processing import dual_softmax, hubs, inverted_softmax, log_mass


def cosines(rows, columns, seed=0):
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed)) * 1.2 - 0.2


def loop_dual_softmax(scores, temperature):
    n, items = scores.shape
    result = torch.zeros(n, items, dtype=torch.float64)
    for item in range(items):
        total = sum(math.exp(temperature * float(scores[q, item])) for q in range(n))
        for query in range(n):
            value = float(scores[query, item])
            result[query, item] = value * math.exp(temperature * value) / total
    return result


def loop_inverted_softmax(scores, bank, beta, k):
    found = set()
    for row in bank.tolist():
        found |= set(sorted(range(len(row)), key=lambda i: -row[i])[:k])
    result = scores.double().clone()
    for query, row in enumerate(scores.tolist()):
        if row.index(max(row)) not in found:
            continue
        for item, value in enumerate(row):
            total = sum(math.exp(beta * float(other[item])) for other in bank)
            result[query, item] = math.exp(beta * value) / total
    return result, found


@pytest.mark.parametrize('shape', [(7, 5), (4, 11), (1, 3)])
@pytest.mark.parametrize('temperature', [1.0, 100.0])
def test_dual_softmax_equals_a_loop(shape, temperature, monkeypatch):
    scores = cosines(*shape)
    expected = loop_dual_softmax(scores, temperature)
    got = dual_softmax(scores, log_mass(scores, temperature), temperature)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=0)
    monkeypatch.setattr(post_processing, 'row_chunks', lambda n, _: ((i, i + 1) for i in range(n)))
    chunked = log_mass(scores, temperature)
    torch.testing.assert_close(dual_softmax(scores, chunked, temperature), expected, rtol=1e-10, atol=0)


def test_rows_are_processed_by_themselves_and_the_input_is_left_alone():
    scores = cosines(6, 9)
    before = scores.clone()
    mass = log_mass(scores, 100.0)
    whole = dual_softmax(scores, mass)
    assert torch.equal(torch.cat([dual_softmax(part, mass) for part in scores.split(2)]), whole)
    assert torch.equal(scores, before)


def test_permuting_queries_and_items_permutes_the_result():
    scores = cosines(6, 9)
    rows, columns = torch.randperm(6), torch.randperm(9)
    moved = scores[rows][:, columns]
    expected = dual_softmax(scores, log_mass(scores, 100.0))[rows][:, columns]
    torch.testing.assert_close(dual_softmax(moved, log_mass(moved, 100.0)), expected)


@pytest.mark.parametrize('k', [1, 3, 99])
@pytest.mark.parametrize('seed', range(4))
def test_inverted_softmax_orders_as_a_loop(k, seed):
    scores, bank = cosines(12, 8, seed), cosines(5, 8, seed + 10)
    expected, found = loop_inverted_softmax(scores, bank, 20.0, k)
    activated = hubs(bank, k)
    assert set(activated.nonzero().flatten().tolist()) == found
    got = inverted_softmax(scores, log_mass(bank, 20.0), activated, 20.0)
    on = activated[scores.argmax(1)]
    torch.testing.assert_close(got[on].exp(), expected[on], rtol=1e-10, atol=0)
    assert torch.equal(got[~on], scores[~on].double())
    assert torch.equal(got.argsort(1), expected.argsort(1))
    if k == 1:
        assert on.any() and not on.all()


def test_without_hubs_nothing_changes_and_large_scores_do_not_overflow():
    scores = cosines(3, 4)
    mass = log_mass(cosines(2, 4), 20.0)
    assert torch.equal(inverted_softmax(scores, mass, torch.zeros(4, dtype=torch.bool)), scores.double())
    large = inverted_softmax(100 * scores, log_mass(100 * scores, 20.0), torch.ones(4, dtype=torch.bool))
    assert large.isfinite().all()


def test_equal_best_items_of_the_bank_are_all_hubs():
    assert hubs(torch.tensor([[0.5, 0.5, 0.1]])).tolist() == [True, True, False]
