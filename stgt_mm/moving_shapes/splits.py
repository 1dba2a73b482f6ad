"""Splits of all meanings into training, validation and test, and draws from them.

The rule: number the colours, shapes and sizes; a look has the number ``colour + 2 * shape + size``; a
meaning has the sum over its looks plus the number of its family plus that of its event (for ``recolour``
both colours count), modulo 6. Remainder 0 is test, 1 is validation, the rest is training. So a whole caption
of the test split never occurs in training, whatever the words, while each of its colours, shapes and events
does, in other company. A meaning, its reverse and its swap of roles share a remainder.
"""

from dataclasses import replace

import numpy as np

from stgt_mm.moving_shapes.meaning import (
    ACTIONS,
    COLOURS,
    DIRECTIONS,
    FAMILIES,
    OPPOSITE,
    OTHER_VALUE,
    SHAPES,
    SIZES,
    Look,
    Meaning,
    reverse,
)

SPLITS = ('train', 'val', 'test')
_MODULUS = 6
SIZED = ('move', 'turn', 'recolour')
"""Families whose object is said to be small or big."""


def _event_number(meaning: Meaning) -> int:
    """Numbers an event such that reversing it and swapping roles change nothing."""
    family, event = meaning.family, meaning.event
    if family == 'recolour':
        return COLOURS.index(event[0])
    if family in ('order_one', 'order_two'):
        return sum(ACTIONS.index(action) for action in event)
    if family == 'turn':
        # A corner and its reverse are the same two legs; which corner of the frame they enclose tells them.
        legs = {event[0], OPPOSITE[event[1]]}
        return ('right' in legs) + 2 * ('down' in legs)
    words = [word for word in event if word not in OPPOSITE]
    across = any(word in ('up', 'down') for word in event)
    return 2 * across + sum(word in ('stop', 'behind', 'three') for word in words)


def split_of(meaning: Meaning) -> str:
    """Returns 'train', 'val' or 'test' for a meaning (see the module's rule)."""
    number = FAMILIES.index(meaning.family) + _event_number(meaning)
    for look in meaning.objects:
        number += COLOURS.index(look.colour) + 2 * SHAPES.index(look.shape) + (look.size == 'big')
    return {0: 'test', 1: 'val'}.get(number % _MODULUS, 'train')


def _pick(rng: np.random.Generator, options: tuple | list):
    return options[int(rng.integers(len(options)))]


def _draw_looks(rng: np.random.Generator, count: int, sized: bool) -> tuple[Look, ...]:
    colours = rng.permutation(len(COLOURS))[:count]
    shapes = rng.permutation(len(SHAPES))[:count]
    size = _pick(rng, SIZES) if sized else ''
    return tuple(Look(COLOURS[c], SHAPES[s], size) for c, s in zip(colours, shapes, strict=True))


def _draw_event(rng: np.random.Generator, family: str, looks: tuple[Look, ...]) -> tuple[str, ...]:
    direction = _pick(rng, DIRECTIONS)
    if family == 'move':
        return (direction, _pick(rng, ('steady', 'stop')))
    if family == 'turn':
        across = ('up', 'down') if direction in ('left', 'right') else ('left', 'right')
        return (direction, _pick(rng, across))
    if family == 'grow':
        return (_pick(rng, ('grow', 'shrink')),)
    if family == 'recolour':
        return (_pick(rng, [colour for colour in COLOURS if colour != looks[0].colour]),)
    if family in ('order_one', 'order_two'):
        first, second = rng.permutation(len(ACTIONS))[:2]
        return (ACTIONS[first], ACTIONS[second])
    if family == 'duo':
        return (_pick(rng, DIRECTIONS + ('grow', 'shrink', 'grow', 'shrink')),)
    if family == 'pass':
        return (direction, _pick(rng, ('front', 'behind')))
    return (_pick(rng, ('two', 'three')), direction)


def draw_meaning(rng: np.random.Generator, family: str, split: str) -> Meaning:
    """Draws a meaning of one family that belongs to a split."""
    count = 2 if family in ('order_two', 'duo', 'pass') else 1
    while True:
        looks = _draw_looks(rng, count, sized=family in SIZED)
        meaning = Meaning(family, looks, _draw_event(rng, family, looks))
        if split_of(meaning) == split:
            return meaning


def draw_distinct(rng: np.random.Generator, counts: dict[str, int], split: str) -> list[Meaning]:
    """Draws so many meanings of each family, all different; ``ValueError`` if a family has not as many."""
    meanings: dict[str, Meaning] = {}
    for family, count in counts.items():
        wanted, misses = len(meanings) + count, 0
        while len(meanings) < wanted:
            meaning = draw_meaning(rng, family, split)
            misses = misses + 1 if meaning.key() in meanings else 0
            meanings.setdefault(meaning.key(), meaning)
            if misses > 2000:
                raise ValueError(
                    f'{split} has fewer than {count} meanings of family {family!r}: ask for fewer'
                )
    return list(meanings.values())


def draw_group(rng: np.random.Generator, family: str, split: str) -> list[Meaning]:
    """Draws four meanings with the same looks: two facts, each with two values.

    Each has its reverse in the group, and a partner that differs in one other fact. With single frames
    alone the reverse cannot be told apart, so a batch of groups rewards the sight of order.
    """
    while True:
        base = draw_meaning(rng, family, split)
        other = _change_second_fact(rng, base)
        group = [base, reverse(base), other, reverse(other)]
        if len({meaning.key() for meaning in group}) == 4 and all(split_of(m) == split for m in group):
            return group


def _change_second_fact(rng: np.random.Generator, base: Meaning) -> Meaning:
    family, looks, event = base.family, base.objects, base.event
    if family in ('move', 'pass', 'number'):
        return replace(base, event=tuple(OTHER_VALUE.get(word, word) for word in event))
    if family == 'turn':
        swapped, mirrored = event[::-1], (event[0], OPPOSITE[event[1]])
        return replace(base, event=swapped if rng.random() < 0.5 else mirrored)
    if family == 'grow':
        colour = _pick(rng, [colour for colour in COLOURS if colour != looks[0].colour])
        return replace(base, objects=(Look(colour, looks[0].shape),))
    if family == 'order_one':
        return replace(base, event=(event[0], _pick(rng, [word for word in ACTIONS if word not in event])))
    if family == 'recolour':
        return replace(base, event=(_pick(rng, [colour for colour in COLOURS if colour != event[0]]),))
    return replace(base, objects=looks[::-1])
