"""Meanings of Moving Shapes clips: objects, what they do, and how one fact of them changes.

A :class:`Meaning` is complete: the caption is written from it and the clip is drawn from it. Two clips
with equal meanings have captions that are true of both.
"""

from dataclasses import dataclass, replace

import numpy as np

COLOURS = ('red', 'green', 'blue', 'yellow', 'purple', 'white')
SHAPES = ('circle', 'square', 'triangle', 'cross', 'ring')
SIZES = ('small', 'big')
DIRECTIONS = ('left', 'right', 'up', 'down')
OPPOSITE = {'left': 'right', 'right': 'left', 'up': 'down', 'down': 'up', 'grow': 'shrink', 'shrink': 'grow'}
OTHER_VALUE = {
    'front': 'behind', 'behind': 'front', 'stop': 'steady', 'steady': 'stop', 'two': 'three', 'three': 'two',
}  # fmt: skip
ACTIONS = ('left', 'right', 'up', 'down', 'swell', 'contract', 'vanish')
"""Actions that an object does and undoes: it hops in a direction and back, swells, contracts, vanishes."""

FAMILIES = ('move', 'turn', 'grow', 'recolour', 'order_one', 'order_two', 'duo', 'pass', 'number')
ORDER_KINDS = ('direction', 'turn', 'grow', 'recolour', 'order_one', 'order_two')
"""Kinds of fact that no average over time can know."""
STATE_KINDS = ('which', 'front', 'stop', 'number', 'size', 'colour', 'shape')
"""Kinds of fact that single frames, or their average, can tell."""
KINDS = ORDER_KINDS + STATE_KINDS


@dataclass(frozen=True)
class Look:
    """An object: a word each of :data:`COLOURS` and :data:`SHAPES`; ``size`` is '' when it is not said."""

    colour: str
    shape: str
    size: str = ''


@dataclass(frozen=True)
class Meaning:
    """Objects and what happens to them.

    ``event`` by family:

    - ``move``: (direction, 'steady' or 'stop'); 'stop' is a stop halfway
    - ``turn``: (first direction, second direction), at a right angle
    - ``grow``: ('grow' or 'shrink',)
    - ``recolour``: (new colour,); the look has the old one
    - ``order_one``: (first action, second action) of one object
    - ``order_two``: (action of the first object, later action of the second object)
    - ``duo``: (direction or 'grow' or 'shrink',) of the first object; the second stays as it is
    - ``pass``: (direction, 'front' or 'behind') of the first object, past the second
    - ``number``: ('two' or 'three', direction)
    """

    family: str
    objects: tuple[Look, ...]
    event: tuple[str, ...]

    def key(self) -> str:
        """Returns one string that is equal for equal meanings."""
        looks = ['-'.join((look.size, look.colour, look.shape)).strip('-') for look in self.objects]
        return '|'.join((self.family, *looks, *self.event))

    @property
    def num_objects(self) -> int:
        """Number of objects in the clip."""
        return {'two': 2, 'three': 3}[self.event[0]] if self.family == 'number' else len(self.objects)


def reverse(meaning: Meaning) -> Meaning:
    """Returns the meaning of the same clip played backwards; it always differs.

    Actions of ``order_*`` are undone at the same pace and so look the same backwards; only their order
    changes. A path to the right and then up is, backwards, a path down and then left.
    """
    family, objects, event = meaning.family, meaning.objects, meaning.event
    if family == 'turn':
        return replace(meaning, event=(OPPOSITE[event[1]], OPPOSITE[event[0]]))
    if family == 'recolour':
        return replace(meaning, objects=(replace(objects[0], colour=event[0]),), event=(objects[0].colour,))
    if family == 'order_one':
        return replace(meaning, event=event[::-1])
    if family == 'order_two':
        return replace(meaning, objects=objects[::-1], event=event[::-1])
    return replace(meaning, event=tuple(OPPOSITE.get(word, word) for word in event))


def order_kind(meaning: Meaning) -> str:
    """Returns which of :data:`ORDER_KINDS` tells the meaning from its reverse."""
    if meaning.family in ('turn', 'recolour', 'order_one', 'order_two'):
        return meaning.family
    return 'grow' if meaning.event[0] in ('grow', 'shrink') else 'direction'


def level(meaning: Meaning) -> int:
    """Returns how hard a meaning is: 1 for one event of one object, 2 for two events, 3 for more objects."""
    if meaning.num_objects > 1:
        return 3
    return 2 if meaning.family == 'order_one' else 1


def kinds_of(meaning: Meaning) -> tuple[str, ...]:
    """Returns the kinds of fact that :func:`change_fact` can change in a meaning."""
    kinds = [order_kind(meaning), 'shape']
    if meaning.family != 'recolour':
        kinds.append('colour')
    if meaning.family in ('order_two', 'duo'):
        kinds.append('which')
    if meaning.objects[0].size:
        kinds.append('size')
    kinds += {'move': ['stop'], 'pass': ['front'], 'number': ['number']}.get(meaning.family, [])
    return tuple(kinds)


def change_fact(meaning: Meaning, kind: str, rng: np.random.Generator) -> Meaning:
    """Changes the fact of a kind that is in ``kinds_of(meaning)``.

    A kind of :data:`ORDER_KINDS` gives the reverse, because only a clip and its reverse show the same frames.
    """
    if kind not in kinds_of(meaning):
        raise ValueError(f'{meaning.key()} has no fact of kind {kind!r}; it has {kinds_of(meaning)}')
    if kind in ORDER_KINDS:
        return reverse(meaning)
    if kind == 'which':
        return replace(meaning, objects=meaning.objects[::-1])
    if kind in ('front', 'stop', 'number'):
        return replace(meaning, event=tuple(OTHER_VALUE.get(word, word) for word in meaning.event))
    looks = list(meaning.objects)
    index = int(rng.integers(len(looks)))
    if kind == 'size':
        value = 'big' if looks[index].size == 'small' else 'small'
    else:
        used = {getattr(look, kind) for look in looks}
        free = [word for word in (COLOURS if kind == 'colour' else SHAPES) if word not in used]
        value = free[int(rng.integers(len(free)))]
    looks[index] = replace(looks[index], **{kind: value})
    return replace(meaning, objects=tuple(looks))
