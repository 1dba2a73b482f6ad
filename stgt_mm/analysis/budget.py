"""Equal time and equal steps: how many steps each variant of a model gets."""

from collections.abc import Mapping
from dataclasses import dataclass

SAME = 0.03


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
    """

    seconds: float
    steps: int


def choose_budget(costs: Mapping[str, Cost], seconds: float, waves: int, epochs: int) -> Budget:
    """Chooses the longest training time that leaves room for all runs.

    A variant runs once for the time and once for the steps; the slowest does both in one run. With t_r the
    seconds of a step, o_r what is around it and t the slowest step, the runs take
    ``waves * sum_r (T + o_r) + waves * sum_{r not slowest} (T * t_r / t + o_r)``.

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
    slowest = max(costs, key=lambda name: costs[name].step)
    longest = costs[slowest].step
    others = [cost for name, cost in costs.items() if name != slowest]
    around = sum(cost.around for cost in costs.values()) + sum(cost.around for cost in others)
    share = len(costs) + sum(cost.step / longest for cost in others)
    own = (seconds / waves - around) / share
    if own < longest * epochs:
        needed = waves * (around + longest * epochs * share)
        raise ValueError(
            f'{seconds / 60:.1f} min are too short for {len(costs)} variants: start and test take '
            f'{waves * around / 60:.1f} min, and {epochs} steps each bring it to {needed / 60:.1f} min. '
            'Raise --minutes, or compare fewer variants.'
        )
    return Budget(own, whole_steps(own / longest, epochs))


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
        A multiple of ``epochs``; where it differs from the equal steps by no more than step times can be
        measured, those: one run serves both.
    """
    steps = whole_steps(budget.seconds / cost.step, epochs)
    return budget.steps if abs(steps - budget.steps) <= SAME * budget.steps else steps
