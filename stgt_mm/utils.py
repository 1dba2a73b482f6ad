"""Small helpers of many rooms: suggestions for mistyped names, a model without its wrapper."""

from collections.abc import Iterable
from difflib import get_close_matches

from mmengine.model import is_model_wrapper
from torch import nn

_MOST_NAMED = 10


def bare_model(model: nn.Module) -> nn.Module:
    """Takes a model out of DistributedDataParallel or any other registered wrapper."""
    return model.module if is_model_wrapper(model) else model


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Returns a sentence that helps with a mistyped name.

    Args:
        name: What the user typed.
        choices: The names that would have been right.

    Returns:
        ``"Did you mean 'x'?"`` when something is close, else the first ten choices.
    """
    choices = sorted(choices)
    close = get_close_matches(name, choices, n=1, cutoff=0.6)
    if not close:
        by_lower = {choice.lower(): choice for choice in choices}
        close = [by_lower[c] for c in get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)]
    if close:
        return f"Did you mean '{close[0]}'?"
    more = f' and {len(choices) - _MOST_NAMED} more' if len(choices) > _MOST_NAMED else ''
    return f'Known: {", ".join(choices[:_MOST_NAMED]) or "none"}{more}.'
