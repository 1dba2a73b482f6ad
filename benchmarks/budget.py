"""Equal time and equal steps: how many steps each variant of a model gets."""

from collections.abc import Mapping
from dataclasses import dataclass

# Two steps whose times differ by less cannot be told apart on a machine that does other things too.
SAME = 0.05


@dataclass(frozen=True)
class Cost:
    """What a variant costs, measured.

    Attributes:
        step: Seconds of a training step.
        around: Seconds of everything else of a run: start, validation, test.
    """

    step: float
    around: float


@dataclass(frozen=True)
class Budget:
    """What each run of a comparison gets.

    Attributes:
        seconds: Training time of a run at equal time.
        steps: Steps of a run at equal steps: what the slowest variant does in that time.
        slowest: Seconds of a step of that variant.
    """

    seconds: float
    steps: int
    slowest: float


def choose_budget(costs: Mapping[str, Cost], seconds: float, waves: int, epochs: int) -> Budget:
    """Chooses the longest training time that leaves room for all runs.

    A variant runs once for the time and once for the steps; those as slow as the slowest do both in one run.
    With t_r the seconds of a step, o_r what is around it and t the slowest step, the runs take
    ``waves * sum_r (T + o_r) + waves * sum_{r faster} (T * t_r / t + o_r)``.

    Args:
        costs: By variant.
        seconds: Time for all runs.
        waves: Runs of a variant one after the other: seeds over cores, rounded up.
        epochs: A run has a whole number of steps in each of so many epochs.

    Returns:
        The budget.

    Raises:
        ValueError: If the time is not enough for a step an epoch.
    """
    longest = max(cost.step for cost in costs.values())
    faster = [cost for cost in costs.values() if not _as_slow(cost, longest)]
    around = sum(cost.around for cost in costs.values()) + sum(cost.around for cost in faster)
    share = len(costs) + sum(cost.step / longest for cost in faster)
    own = (seconds / waves - around) / share
    if own < longest * epochs:
        needed = waves * (around + longest * epochs * share)
        raise ValueError(
            f'{seconds / 60:.1f} min are too short for {len(costs)} variants: start and test take '
            f'{waves * around / 60:.1f} min, and {epochs} steps each bring it to {needed / 60:.1f} min. '
            'Raise --minutes, or compare fewer variants.'
        )
    return Budget(own, whole_steps(own / longest, epochs), longest)


def whole_steps(steps: float, epochs: int) -> int:
    """Rounds a number of steps to a multiple of the epochs.

    Args:
        steps: Steps.
        epochs: Epochs.

    Returns:
        At least a step an epoch.
    """
    return max(1, round(steps / epochs)) * epochs


def steps_in_time(budget: Budget, cost: Cost, epochs: int) -> int:
    """Says how many steps a variant does at equal time.

    Args:
        budget: The budget.
        cost: Of the variant.
        epochs: Epochs of the run.

    Returns:
        A multiple of ``epochs``; the equal steps where one run serves both.
    """
    return budget.steps if _as_slow(cost, budget.slowest) else whole_steps(budget.seconds / cost.step, epochs)


def _as_slow(cost: Cost, slowest: float) -> bool:
    # a variant that joins later may be slower than the slowest of those that fixed the budget
    return max(slowest, cost.step) <= (1 + SAME) * min(slowest, cost.step)
