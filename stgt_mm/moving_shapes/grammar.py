"""Captions and questions for a meaning: one closed grammar, many wordings.

A wording is chosen by a style number, decision by decision, so that two meanings written in one style
differ in nothing but their facts.
"""

from hashlib import blake2b

from stgt_mm.moving_shapes.meaning import Look, Meaning

_GO = ('moves', 'slides', 'travels', 'goes')
_ACTION = {
    'swell': ('swells up and shrinks back', 'gets bigger for a moment', 'becomes big and then normal again'),
    'contract': (
        'contracts and grows back',
        'gets smaller for a moment',
        'becomes tiny and then normal again',
    ),
    'vanish': ('vanishes and comes back', 'is gone for a moment', 'disappears and appears again'),
}
_HOP = ('hops {way} and back', 'jumps {way} and returns', 'darts {way} and comes back')
_WAY = {
    'left': ('left', 'to the left', 'leftwards'),
    'right': ('right', 'to the right', 'rightwards'),
    'up': ('up', 'to the top', 'upwards'),
    'down': ('down', 'to the bottom', 'downwards'),
}
_RESIZE = {
    'grow': ('grows', 'gets larger', 'expands', 'becomes larger'),
    'shrink': ('shrinks', 'gets smaller', 'diminishes', 'becomes smaller'),
}
# What happens first is told first: with 'before {b}, {a}' beside 'before' in the middle, the order is the
# exclusive or of two words, which a text encoder without pre-training does not find in minutes.
_ORDER_ONE = (
    '{who} first {a}, then {b}',
    '{who} {a} and then {b}',
    'after {who} {a}, it {b}',
    '{who} {a} before it {b}',
)
_ORDER_TWO = ('first {a}, then {b}', '{a}, and then {b}', 'after {a}, {b}', '{a} before {b}')
_DUO = (
    '{actor} {act} while {still} stays still',
    '{actor} {act} and {still} does not change',
    '{actor} {act} beside {still} that rests',
)
_BIG = ('big', 'large')
_SMALL = ('small', 'little')


class Style:
    """The wording of a caption: a number that settles every choice by its name.

    Args:
        seed: Any integer; equal seeds give equal choices.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def pick(self, name: str, options: tuple[str, ...]) -> str:
        """Returns one of ``options``; which one depends on the seed and ``name`` only."""
        digest = blake2b(f'{self.seed}:{name}'.encode(), digest_size=4).digest()
        return options[int.from_bytes(digest, 'big') % len(options)]


def _noun(look: Look, style: Style, plural: bool = False) -> str:
    size = {'': '', 'small': style.pick('size', _SMALL), 'big': style.pick('size', _BIG)}[look.size]
    shape = {'cross': 'crosses'}.get(look.shape, f'{look.shape}s') if plural else look.shape
    return ' '.join(word for word in (size, look.colour, shape) if word)


def _the(look: Look, style: Style) -> str:
    return f'{style.pick("article", ("a", "the"))} {_noun(look, style)}'


def _way(direction: str, style: Style) -> str:
    return style.pick('way', _WAY[direction])


def _do(action: str, style: Style) -> str:
    if action in _WAY:
        return style.pick('hop', _HOP).format(way=_way(action, style))
    return style.pick('act', _ACTION[action])


def _long_event(event: str, style: Style) -> str:
    if event in _RESIZE:
        return style.pick('resize', _RESIZE[event])
    return f'{style.pick("go", _GO)} {_way(event, style)}'


def _move(meaning: Meaning, style: Style) -> str:
    text = f'{_the(meaning.objects[0], style)} {_long_event(meaning.event[0], style)}'
    if meaning.event[1] == 'steady':
        return text + style.pick('steady', (' without stopping', ' in one go', ' steadily'))
    return text + style.pick('stop', (' and stops halfway', ' with a stop in between', ', pausing halfway'))


def _turn(meaning: Meaning, style: Style) -> str:
    first, second = (_way(direction, style) for direction in meaning.event)
    tail = style.pick('turn', ('and then turns {}', 'then {}', 'before it turns {}', 'and afterwards {}'))
    return f'{_the(meaning.objects[0], style)} {style.pick("go", _GO)} {first} {tail.format(second)}'


def _recolour(meaning: Meaning, style: Style) -> str:
    old, new = meaning.objects[0], meaning.event[0]
    change = style.pick(
        'recolour', ('turns {}', 'changes its colour to {}', 'becomes {}', 'switches from {old} to {}')
    )
    return f'{_the(old, style)} {change.format(new, old=old.colour)}'


def _order_one(meaning: Meaning, style: Style) -> str:
    first, second = (_do(action, style) for action in meaning.event)
    return style.pick('order', _ORDER_ONE).format(who=_the(meaning.objects[0], style), a=first, b=second)


def _order_two(meaning: Meaning, style: Style) -> str:
    first, second = (
        f'{_the(look, style)} {_do(action, style)}' for look, action in zip(meaning.objects, meaning.event)
    )
    return style.pick('order', _ORDER_TWO).format(a=first, b=second)


def _duo(meaning: Meaning, style: Style) -> str:
    actor, still = (_the(look, style) for look in meaning.objects)
    act = _long_event(meaning.event[0], style)
    return style.pick('duo', _DUO).format(actor=actor, still=still, act=act)


def _pass(meaning: Meaning, style: Style) -> str:
    actor, still = (_the(look, style) for look in meaning.objects)
    act = _long_event(meaning.event[0], style)
    if meaning.event[1] == 'front':
        return (
            f'{actor} {act}, {style.pick("front", ("passing in front of", "hiding", "in front of"))} {still}'
        )
    return f'{actor} {act}, {style.pick("front", ("passing behind", "hidden by", "behind"))} {still}'


def _number(meaning: Meaning, style: Style) -> str:
    count, direction = meaning.event
    go = style.pick('go', ('move', 'slide', 'travel', 'go'))
    together = style.pick('together', ('', ' side by side', ' together'))
    return f'{count} {_noun(meaning.objects[0], style, plural=True)} {go} {_way(direction, style)}{together}'


_WRITERS = {
    'move': _move,
    'turn': _turn,
    'recolour': _recolour,
    'order_one': _order_one,
    'order_two': _order_two,
    'duo': _duo,
    'pass': _pass,
    'number': _number,
}


def caption(meaning: Meaning, seed: int) -> str:
    """Returns a caption of a meaning in the wording of style ``seed``, lower case."""
    style = Style(seed)
    if meaning.family == 'grow':
        return f'{_the(meaning.objects[0], style)} {_long_event(meaning.event[0], style)}'
    return _WRITERS[meaning.family](meaning, style)


def questions(meaning: Meaning) -> list[tuple[str, str]]:
    """Returns pairs of question and one-word answer, the same for equal meanings."""
    look, event = meaning.objects[0], meaning.event
    if meaning.family == 'number':
        return [
            (f'how many {look.shape}s move' if look.shape != 'cross' else 'how many crosses move', event[0]),
            (f'in which direction do the {event[0]} objects move', event[1]),
        ]
    if meaning.family == 'recolour':
        return [(f'what colour is the {look.shape} at first', look.colour),
                (f'what colour is the {look.shape} in the end', event[0])]  # fmt: skip
    if meaning.family in ('order_one', 'order_two'):
        return _order_questions(meaning)
    pairs = [(f'what colour is the {look.shape}', look.colour)]
    if event[0] in _RESIZE:
        pairs.append((f'does the {look.colour} {look.shape} grow or shrink', event[0]))
        return pairs + [(f'which shape {event[0]}s', look.shape)]
    if meaning.family == 'turn':
        pairs.append((f'in which direction does the {look.shape} move at first', event[0]))
        pairs.append((f'in which direction does the {look.shape} move in the end', event[1]))
        return pairs
    pairs.append((f'in which direction does the {look.shape} move', event[0]))
    return pairs + [(f'which shape moves {event[0]}', look.shape)]


def _order_questions(meaning: Meaning) -> list[tuple[str, str]]:
    names = [f'hop {action}' if action in _WAY else action for action in meaning.event]
    looks = meaning.objects
    if meaning.family == 'order_one':
        subject = f'the {looks[0].colour} {looks[0].shape}'
        first, last = meaning.event
        return [(f'what does {subject} do first', first), (f'what does {subject} do last', last)]
    one, other = sorted(look.shape for look in looks)
    return [
        (f'which shape does something first, the {one} or the {other}', looks[0].shape),
        (f'what colour is the object that can be seen to {names[1]}', looks[1].colour),
    ]
