"""State dicts against the model that they are for: what is missing, unexpected or of another shape."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

_LISTED = 12


class Misfit(NamedTuple):
    """What of a state dict does not fit a model; empty when everything does."""

    missing: list[str]
    unexpected: list[str]
    shapes: dict[str, str]

    def lines(self, place: str = 'checkpoint') -> list[str]:
        """Puts the misfit into words, at most twelve names a kind."""
        lines = []
        for title, names in (
            (f'missing in the {place}', self.missing),
            ('not in the model', self.unexpected),
            ('of another shape or kind', [f'{name}: {how}' for name, how in self.shapes.items()]),
        ):
            lines += [f'{len(names)} {title}:'] if names else []
            lines += [f'  {name}' for name in names[:_LISTED]]
            lines += [f'  ... and {len(names) - _LISTED} more'] if len(names) > _LISTED else []
        return lines


def compare(
    state: Mapping[str, Tensor], model: Mapping[str, Tensor | Sequence[int]], place: str = 'checkpoint'
) -> Misfit:
    """Compares a state dict with that of a model, or with its names and shapes.

    ``place`` is what to call the origin of ``state`` in words.
    """
    return Misfit(
        missing=[name for name in model if name not in state],
        unexpected=[name for name in state if name not in model],
        shapes={
            name: how
            for name, tensor in state.items()
            if name in model and (how := _difference(tensor, model[name], place))
        },
    )


def _difference(theirs: Tensor, ours: Tensor | Sequence[int], place: str) -> str | None:
    shape = list(getattr(ours, 'shape', ours))
    if list(theirs.shape) != shape:
        return f'{list(theirs.shape)} in the {place}, {shape} in the model'
    # half precision may become single, whole numbers may not become weights: nothing would say so
    if isinstance(ours, Tensor) and theirs.is_floating_point() != ours.is_floating_point():
        return f'{theirs.dtype} in the {place}, {ours.dtype} in the model'
    return None


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], source: Any) -> None:
    """Loads a state dict, or raises a ValueError that lists what does not fit and changes nothing."""
    problems = compare(state, module.state_dict(), 'file').lines('file')
    if problems:
        raise ValueError('\n  '.join([f"the weights of '{source}' do not fit:", *problems]))
    module.load_state_dict(state)
