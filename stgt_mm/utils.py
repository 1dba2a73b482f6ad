"""Small helpers of many rooms: suggestions for mistyped names, a model bare or set to evaluation."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from mmengine.model import is_model_wrapper
from torch import nn

_MOST_NAMED = 10


def bare_model(model: nn.Module) -> nn.Module:
    """Takes a model out of DistributedDataParallel or any other registered wrapper."""
    return model.module if is_model_wrapper(model) else model


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Sets a model to evaluation, and afterwards back to what it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ``"Did you mean 'x'?"`` when a known name is close to it, else the first ten known."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        by_lower = {item.lower(): item for item in known}
        close = [by_lower[item] for item in get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)]
    if close:
        return f"Did you mean '{close[0]}'?"
    more = f' and {len(known) - _MOST_NAMED} more' if len(known) > _MOST_NAMED else ''
    return f'Known: {", ".join(known[:_MOST_NAMED]) or "none"}{more}.'
