"""The stopwatch: each second is booked once, on the innermost part; medians over rounds."""

import time

import pytest
import timing
import torch
from torch import nn


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on only when told to; the CPU's runs at half its speed."""
    now = [0.0]
    monkeypatch.setattr(time, 'perf_counter', lambda: now[0])
    monkeypatch.setattr(time, 'process_time', lambda: now[0] / 2)

    def go_on(seconds):
        now[0] += seconds

    return go_on


def test_a_part_inside_another_is_not_counted_twice(clock):
    watch = timing.Stopwatch()
    clock(5)
    with watch.part('outer'):
        clock(1)
        with watch.part('inner'):
            clock(10)
            with watch.part('outer'):
                clock(100)
        clock(1000)
    clock(7)
    assert watch.totals() == {'outer': 1101, 'inner': 10}
    assert watch.totals('cpu') == {'outer': 550.5, 'inner': 5}


def test_medians_are_taken_over_rounds_and_warm_up_is_cut_off(clock):
    watch = timing.Stopwatch()
    for seconds in (1000, 1, 2, 30):
        watch.new_round()
        with watch.part('a'):
            clock(seconds)
        if seconds == 30:
            with watch.part('rare'):
                clock(8)
    watch.rounds = watch.rounds[2:]
    assert watch.medians() == {'a': 2, 'rare': 0}
    assert watch.totals() == {'a': 33, 'rare': 8} and watch.totals('cpu') == {'a': 16.5, 'rare': 4}


def test_a_round_that_begins_inside_a_part_divides_it(clock):
    watch = timing.Stopwatch()
    with watch.part('step'):
        clock(2)
        watch.new_round()
        clock(50)
    assert [one['step'][0] for one in watch.rounds] == [2, 50]


def test_an_error_closes_its_part(clock):
    watch = timing.Stopwatch()
    with watch.part('whole'):
        with pytest.raises(KeyError), watch.part('bad'):
            clock(2)
            raise KeyError
        clock(3)
    assert watch.totals() == {'whole': 3, 'bad': 2}


def test_methods_are_watched_and_given_back(clock):
    layer = nn.Linear(2, 2)
    before = layer.forward
    watch = timing.Stopwatch()
    with watch.watching(('layer', layer, 'forward'), ('nothing', None, 'forward')):
        expected = torch.nn.functional.linear(torch.ones(1, 2), layer.weight, layer.bias)
        assert layer(torch.ones(1, 2)).equal(expected)
    assert list(watch.totals()) == ['layer']
    assert layer.forward == before and 'forward' not in vars(layer)


def test_memory_of_the_process_grows():
    before = timing.peak_memory_gib()
    block = torch.ones(2**26)  # 256 MiB
    assert timing.peak_memory_gib() >= before
    assert 0.25 < timing.peak_memory_gib() < 64
    del block
