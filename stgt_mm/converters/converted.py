"""What converters are made of: names that translate both ways, and a dict that keeps account of itself."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

Pairs = Sequence[tuple[str, str]]


class Converted(dict[str, Tensor]):
    """A state dict under the names of this package that knows where each tensor came from.

    Attributes:
        origin: New name to the names in the source that it was made of.
        left_aside: Names in the source that are known and not needed, each with the reason.
        unknown: Names in the source that no rule knows.
        filled: New names whose values are not from the source, each with the reason.
        gaps: Patterns of the beginnings of names that a source of this extent does not have, each with the
            reason.
    """

    def __init__(self) -> None:
        super().__init__()
        self.origin: dict[str, tuple[str, ...]] = {}
        self.left_aside: dict[str, str] = {}
        self.unknown: list[str] = []
        self.filled: dict[str, str] = {}
        self.gaps: dict[str, str] = {}

    def put(self, name: str, tensor: Tensor, *origin: str) -> None:
        """Adds a tensor.

        Args:
            name: Its new name.
            tensor: Any shape.
            *origin: Its names in the source.

        Raises:
            ValueError: If the name has been given before.
        """
        if name in self:
            raise ValueError(f"'{self.origin[name][0]}' and '{origin[0]}' both become '{name}'.")
        self[name] = tensor
        self.origin[name] = origin

    def fill(self, name: str, tensor: Tensor, why: str) -> None:
        """Adds a tensor that the source does not have.

        Args:
            name: Its name.
            tensor: Any shape.
            why: Where its values come from.
        """
        self[name] = tensor
        self.origin[name] = ()
        self.filled[name] = why

    def merge(self, other: 'Converted', prefix: str = '', source_prefix: str = '') -> None:
        """Takes over another conversion.

        Args:
            other: A part of the same source.
            prefix: Put before its new names.
            source_prefix: Put before its names in the source.
        """
        for name, tensor in other.items():
            self.put(prefix + name, tensor, *(source_prefix + key for key in other.origin[name]))
        self.left_aside.update({source_prefix + key: why for key, why in other.left_aside.items()})
        self.unknown += [source_prefix + key for key in other.unknown]
        self.filled.update({prefix + name: why for name, why in other.filled.items()})
        self.gaps.update({re.escape(prefix) + part: why for part, why in other.gaps.items()})


class KeyMap:
    """Translates names by pairs of templates.

    In a template ``{}`` stands for the number of a layer and a final ``*`` for ``weight`` or ``bias``; both
    sides of a pair have them in the same order.

    Args:
        pairs: (their name, our name).
    """

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = tuple(pairs)
        self._rules = [(_pattern(theirs), _replacement(ours)) for theirs, ours in self.pairs]

    def reverse(self) -> 'KeyMap':
        """Returns the map in the other direction."""
        return KeyMap([(ours, theirs) for theirs, ours in self.pairs])

    def get(self, key: str) -> str | None:
        """Translates a name.

        Args:
            key: Their name.

        Returns:
            Our name, None if no pair fits.
        """
        for pattern, replacement in self._rules:
            match = pattern.fullmatch(key)
            if match is not None:
                return match.expand(replacement)
        return None


def _pattern(template: str) -> re.Pattern[str]:
    text = re.escape(template).replace(r'\{\}', r'(\d+)')
    return re.compile(re.sub(r'\\\*$', '(weight|bias)', text))


def _replacement(template: str) -> str:
    parts = re.split(r'\{\}|\*$', template)
    return ''.join(f'{part}\\g<{index}>' for index, part in enumerate(parts[:-1], 1)) + parts[-1]


def rename(
    state_dict: Mapping[str, Tensor], names: KeyMap, aside: Sequence[tuple[str, str]] = ()
) -> Converted:
    """Translates the names of a state dict.

    Args:
        state_dict: Names and tensors of the source.
        names: Their names to ours.
        aside: (pattern of names that are not needed, reason).

    Returns:
        The same tensors under new names.
    """
    out = Converted()
    for key, tensor in state_dict.items():
        new = names.get(key)
        if new is not None:
            out.put(new, tensor, key)
            continue
        why = next((why for pattern, why in aside if re.fullmatch(pattern, key)), None)
        if why is None:
            out.unknown.append(key)
        else:
            out.left_aside[key] = why
    return out


def below(state_dict: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Takes the part of a state dict below a prefix, which is removed.

    Args:
        state_dict: Names and tensors.
        prefix: With the final dot.

    Returns:
        The same tensors under shorter names.
    """
    return {key[len(prefix) :]: value for key, value in state_dict.items() if key.startswith(prefix)}


def qformer_layers(theirs: str, ours: str, attention: str) -> list[tuple[str, str]]:
    """Lists the names of a Q-Former's layers: those of BERT, twice a feed-forward, and cross-attention.

    Args:
        theirs: What stands before the number of a layer in the source.
        ours: The same in this package.
        attention: What the source calls the module that holds query, key and value: BERT and LAVIS say
            'self', Hugging Face's BLIP-2 'attention'.

    Returns:
        Pairs for :class:`KeyMap`.
    """
    inner = []
    for block, own in (('attention', 'self'), ('crossattention', 'cross')):
        inner += [
            (f'{block}.{attention}.{part}.*', f'{own}_attention.{part}.*')
            for part in ('query', 'key', 'value')
        ]
        inner += [
            (f'{block}.output.dense.*', f'{own}_attention.output.*'),
            (f'{block}.output.LayerNorm.*', f'{own}_residual.norm.*'),
        ]
    for suffix, own in (('', 'text'), ('_query', 'query')):
        inner += [
            (f'intermediate{suffix}.dense.*', f'{own}_ffn.up.*'),
            (f'output{suffix}.dense.*', f'{own}_ffn.down.*'),
            (f'output{suffix}.LayerNorm.*', f'{own}_residual.norm.*'),
        ]
    return [(f'{theirs}{{}}.{old}', f'{ours}{{}}.{new}') for old, new in inner]
