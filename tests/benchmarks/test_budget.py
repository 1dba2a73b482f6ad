import pytest
from comparison import SAME, Budget, Cost, choose_budget, steps_in_time, whole_steps

COSTS = {'slow': Cost(1.0, 40.0), 'medium': Cost(0.8, 35.0), 'fast': Cost(0.25, 30.0)}


def time_of_all(costs, budget, waves, epochs):
    """What the runs take, counted one by one."""
    total = 0.0
    for cost in costs.values():
        for steps in {budget.steps, steps_in_time(budget, cost, epochs)}:
            total += waves * (cost.around + steps * cost.step)
    return total


@pytest.mark.parametrize(('seconds', 'waves'), [(3600, 1), (3600, 2), (900, 1)])
@pytest.mark.parametrize('costs', [COSTS, {**COSTS, 'as slow': Cost(0.97, 42.0)}], ids=['3', '4'])
def test_all_runs_fill_the_time(costs, seconds, waves):
    budget = choose_budget(costs, seconds, waves, epochs=10)
    rounding = sum(10 * cost.step for cost in costs.values()) * waves
    assert time_of_all(costs, budget, waves, 10) == pytest.approx(seconds, abs=rounding)
    assert steps_in_time(budget, COSTS['slow'], 10) == budget.steps
    assert steps_in_time(budget, COSTS['fast'], 10) == pytest.approx(4 * budget.steps, abs=20)


def test_steps_that_cannot_be_told_apart_are_one_run():
    budget = Budget(400.0, 400, 1.0)
    assert steps_in_time(budget, Cost(1 / (1 + SAME / 2), 0.0), 1) == 400
    assert steps_in_time(budget, Cost(1 / (1 + SAME * 2), 0.0), 1) == 440


def test_a_slower_variant_that_joins_later_gets_fewer_steps_in_the_time():
    assert steps_in_time(Budget(400.0, 400, 1.0), Cost(2.0, 0.0), 1) == 200


def test_too_short_a_time_is_an_error_that_says_how_long_it_takes():
    with pytest.raises(ValueError, match=r'1.0 min are too short for 3 variants.*80 steps.*Raise --minutes'):
        choose_budget(COSTS, 60, 1, 10)
    # all runs around, and 80 steps at the pace of the slowest for each variant's time and steps
    needed = 40 + 2 * (35 + 30) + 80 * (3 + 0.8 + 0.25)
    assert choose_budget(COSTS, needed + 1, 1, 10).steps == 80
    with pytest.raises(ValueError, match='too short'):
        choose_budget(COSTS, needed - 1, 1, 10)


def test_steps_are_whole_epochs():
    assert [whole_steps(steps, 10) for steps in (3, 14, 16, 104)] == [10, 10, 20, 100]
