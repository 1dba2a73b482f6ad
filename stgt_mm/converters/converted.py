"""Building blocks of converters: names that translate both ways, and a dict that keeps account of itself."""

import re
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

Pairs = Sequence[tuple[str, str]]
_WILD = re.compile(r'\{\}|\*\*?$')
_MATCHES = {'{}': r'(\d+)', '*': '(weight|bias)', '**': '(.+)'}


class Converted(dict[str, Tensor]):
    """A state dict under the names of this package that knows where each tensor came from."""

    def __init__(self) -> None:
        super().__init__()
        self.origin: dict[str, tuple[str, ...]] = {}  # new name: names in the source that it was made of
        self.left_aside: dict[str, str] = {}  # names in the source that are not needed, with the reason
        self.unknown: list[str] = []  # names in the source that no rule knows
        self.filled: dict[str, str] = {}  # new names whose values are not from the source, with the reason
        self.gaps: dict[str, str] = {}  # patterns of beginnings of names that such a source does not have

    def put(self, name: str, tensor: Tensor, *origin: str) -> None:
        """Adds a tensor and its names in the source; a ValueError if the new name is taken."""
        if name in self:
            raise ValueError(f"'{self.origin[name][0]}' and '{origin[0]}' both become '{name}'.")
        self[name] = tensor
        self.origin[name] = origin

    def fill(self, name: str, tensor: Tensor, why: str) -> None:
        """Adds a tensor that the source does not have, and where its values come from."""
        self.put(name, tensor)
        self.filled[name] = why

    def leave(self, name: str, why: str) -> None:
        """Takes a tensor out again, for a reason that its names in the source are listed with."""
        del self[name]
        self.filled.pop(name, None)
        self.left_aside.update(dict.fromkeys(self.origin.pop(name), why))

    def merge(self, other: 'Converted', prefix: str = '', source_prefix: str = '') -> None:
        """Takes over the conversion of a part, whose new and old names get these prefixes."""
        for name, tensor in other.items():
            self.put(prefix + name, tensor, *(source_prefix + key for key in other.origin[name]))
        self.left_aside.update({source_prefix + key: why for key, why in other.left_aside.items()})
        self.unknown += [source_prefix + key for key in other.unknown]
        self.filled.update({prefix + name: why for name, why in other.filled.items()})
        self.gaps.update({re.escape(prefix) + part: why for part, why in other.gaps.items()})


class KeyMap:
    """Translates names by pairs of templates (theirs, ours); the first that fits counts.

    In a template ``{}`` stands for the number of a layer, a final ``*`` for ``weight`` or ``bias``, a final
    ``**`` for anything; both sides of a pair have them in the same order.
    """

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = tuple(pairs)
        self._rules = [(_pattern(theirs), _WILD.sub(r'{}', ours)) for theirs, ours in self.pairs]

    def reverse(self) -> 'KeyMap':
        """Returns the map in the other direction."""
        return KeyMap([(ours, theirs) for theirs, ours in self.pairs])

    def get(self, key: str) -> str | None:
        """Translates their name to ours; None if no pair fits."""
        matches = ((pattern.fullmatch(key), ours) for pattern, ours in self._rules)
        return next((ours.format(*match.groups()) for match, ours in matches if match), None)


def _pattern(template: str) -> re.Pattern[str]:
    fixed = map(re.escape, _WILD.split(template))
    wild = [_MATCHES[sign] for sign in _WILD.findall(template)]
    return re.compile(''.join(part + sign for part, sign in zip(fixed, [*wild, ''])))


def rename(
    state_dict: Mapping[str, Tensor],
    names: KeyMap,
    aside: Pairs = (),
    prefix: str = '',
    outside: Pairs = (),
    spelling: Callable[[str], str] = str,
) -> Converted:
    """Translates the names of a state dict and accounts for all of them.

    ``names`` and ``aside``, patterns of names that are not needed with the reason, hold for what is below
    ``prefix`` and without it; ``outside`` is the ``aside`` of the rest. ``spelling`` is applied to a name
    before it is looked up, for sources that spell names in several ways.
    """
    out = Converted()
    for key, tensor in state_dict.items():
        inside = key.startswith(prefix)
        name = spelling(key.removeprefix(prefix))
        new = names.get(name) if inside else None
        reasons = (why for pattern, why in (aside if inside else outside) if re.fullmatch(pattern, name))
        if new is not None:
            out.put(new, tensor, key)
        elif (why := next(reasons, None)) is not None:
            out.left_aside[key] = why
        else:
            out.unknown.append(key)
    return out


def strip_prefix(state_dict: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Takes the part of a state dict under a prefix (with its final dot), which is removed."""
    return {key[len(prefix) :]: value for key, value in state_dict.items() if key.startswith(prefix)}


def vit_blocks(theirs: str, *names: str) -> list[tuple[str, str]]:
    """Lists the names of a ViT's blocks: norms, the projection behind attention and the feed-forward."""
    ours = ('norm1', 'norm2', 'attn.proj', 'mlp.fc1', 'mlp.fc2')
    return [(f'{theirs}{{}}.{old}.*', f'blocks.{{}}.{new}.*') for old, new in zip(names, ours, strict=True)]


def qformer_layers(theirs: str, ours: str, attention: str) -> list[tuple[str, str]]:
    """Lists the names of a Q-Former's layers: those of BERT, twice a feed-forward, and cross-attention.

    ``theirs`` and ``ours`` stand before the number of a layer; ``attention`` is what the source calls the
    module of query, key and value: BERT and LAVIS say 'self', Hugging Face's BLIP-2 'attention'.
    """
    inner = []
    for block, own in (('attention', 'self'), ('crossattention', 'cross')):
        for part in ('query', 'key', 'value'):
            inner.append((f'{block}.{attention}.{part}.*', f'{own}_attention.{part}.*'))
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
