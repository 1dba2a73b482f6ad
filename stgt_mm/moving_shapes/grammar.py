"""Captions and questions for a meaning: one closed grammar, many wordings.

A wording is chosen by a style number, decision by decision, so that two meanings written in one style
differ in nothing but their facts.
"""

from hashlib import blake2b

from stgt_mm.moving_shapes.meaning import Look, Meaning

_GO = ('moves', 'slides', 'travels', 'goes')
_GO_PLURAL = ('move', 'slide', 'travel', 'go')
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
_DIRECTION = {
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
    '{act} while {still} stays still',
    '{act} and {still} does not change',
    '{act} beside {still} that rests',
)
_MOVE = {
    'steady': (' without stopping', ' in one go', ' steadily'),
    'stop': (' and stops halfway', ' with a stop in between', ', pausing halfway'),
}
_TURN = ('and then turns {}', 'then {}', 'before it turns {}', 'and afterwards {}')
_RECOLOUR = ('turns {}', 'changes its colour to {}', 'becomes {}', 'switches from {old} to {}')
_PASS = {
    'front': ('passing in front of', 'hiding', 'in front of'),
    'behind': ('passing behind', 'hidden by', 'behind'),
}
_TOGETHER = ('', ' side by side', ' together')
_SIZE = {'big': ('big', 'large'), 'small': ('small', 'little')}


def _pick(style: int, decision: str, options: tuple[str, ...]) -> str:
    """Takes one of ``options``; which one depends on style and ``decision`` only."""
    digest = blake2b(f'{style}:{decision}'.encode(), digest_size=4).digest()
    return options[int.from_bytes(digest, 'big') % len(options)]


def _noun(look: Look, style: int, plural: bool = False) -> str:
    size = f'{_pick(style, "size", _SIZE[look.size])} ' if look.size else ''
    return f'{size}{look.colour} {_plural(look.shape) if plural else look.shape}'


def _plural(shape: str) -> str:
    return 'crosses' if shape == 'cross' else f'{shape}s'


def _object(look: Look, style: int) -> str:
    return f'{_pick(style, "article", ("a", "the"))} {_noun(look, style)}'


def _direction(direction: str, style: int) -> str:
    return _pick(style, 'way', _DIRECTION[direction])


def _undone_change(action: str, style: int) -> str:
    if action in _DIRECTION:
        return _pick(style, 'hop', _HOP).format(way=_direction(action, style))
    return _pick(style, 'act', _ACTION[action])


def _lasting_change(event: str, style: int) -> str:
    if event in _RESIZE:
        return _pick(style, 'resize', _RESIZE[event])
    return f'{_pick(style, "go", _GO)} {_direction(event, style)}'


def caption(meaning: Meaning, style: int) -> str:
    """Returns a caption of a meaning in the wording of a style, lower case."""
    event = meaning.event
    if meaning.family == 'number':
        group, go = _noun(meaning.objects[0], style, plural=True), _pick(style, 'go', _GO_PLURAL)
        return f'{event[0]} {group} {go} {_direction(event[1], style)}{_pick(style, "together", _TOGETHER)}'
    objects = [_object(look, style) for look in meaning.objects]
    if meaning.family in ('order_one', 'order_two'):
        first, second = (_undone_change(action, style) for action in event)
        if meaning.family == 'order_one':
            return _pick(style, 'order', _ORDER_ONE).format(who=objects[0], a=first, b=second)
        return _pick(style, 'order', _ORDER_TWO).format(a=f'{objects[0]} {first}', b=f'{objects[1]} {second}')
    if meaning.family == 'recolour':
        change = _pick(style, 'recolour', _RECOLOUR).format(event[0], old=meaning.objects[0].colour)
        return f'{objects[0]} {change}'
    text = f'{objects[0]} {_lasting_change(event[0], style)}'
    if meaning.family == 'move':
        return text + _pick(style, event[1], _MOVE[event[1]])
    if meaning.family == 'turn':
        return f'{text} {_pick(style, "turn", _TURN).format(_direction(event[1], style))}'
    if meaning.family == 'pass':
        return f'{text}, {_pick(style, "front", _PASS[event[1]])} {objects[1]}'
    if meaning.family == 'duo':
        return _pick(style, 'duo', _DUO).format(act=text, still=objects[1])
    return text


def questions(meaning: Meaning) -> list[tuple[str, str]]:
    """Returns pairs of question and one-word answer, the same for equal meanings."""
    look, event = meaning.objects[0], meaning.event
    if meaning.family == 'number':
        return [
            (f'how many {_plural(look.shape)} move', event[0]),
            (f'in which direction do the {event[0]} objects move', event[1]),
        ]
    if meaning.family == 'recolour':
        asked = f'what colour is the {look.shape}'
        return [(f'{asked} at first', look.colour), (f'{asked} in the end', event[0])]
    if meaning.family in ('order_one', 'order_two'):
        return _order_questions(meaning)
    colour = (f'what colour is the {look.shape}', look.colour)
    if event[0] in _RESIZE:
        resized = (f'does the {look.colour} {look.shape} grow or shrink', event[0])
        return [colour, resized, (f'which shape {event[0]}s', look.shape)]
    asked = f'in which direction does the {look.shape} move'
    if meaning.family == 'turn':
        return [colour, (f'{asked} at first', event[0]), (f'{asked} in the end', event[1])]
    moved = [colour, (asked, event[0]), (f'which shape moves {event[0]}', look.shape)]
    return [*moved, *_front_question(meaning)] if meaning.family == 'pass' else moved


def question_kind(question: str) -> str:
    """Names what a question asks for: count, direction, order, front, shape, size or colour."""
    begins = {
        'how many': 'count',
        'in which direction': 'direction',
        'what does': 'order',
        'which shape does something first': 'order',
        'which shape is in front': 'front',
        'which shape': 'shape',
        'does the': 'size',
        'what colour': 'colour',
    }
    return next(kind for words, kind in begins.items() if question.startswith(words))


def _front_question(meaning: Meaning) -> list[tuple[str, str]]:
    mover, still = (look.shape for look in meaning.objects)
    one, other = sorted((mover, still))
    in_front = mover if meaning.event[1] == 'front' else still
    return [(f'which shape is in front, the {one} or the {other}', in_front)]


def _order_questions(meaning: Meaning) -> list[tuple[str, str]]:
    looks, (first, last) = meaning.objects, meaning.event
    if meaning.family == 'order_one':
        asked = f'what does the {looks[0].colour} {looks[0].shape} do'
        return [(f'{asked} first', first), (f'{asked} last', last)]
    one, other = sorted(look.shape for look in looks)
    seen = f'hop {last}' if last in _DIRECTION else last
    return [
        (f'which shape does something first, the {one} or the {other}', looks[0].shape),
        (f'what colour is the object that can be seen to {seen}', looks[1].colour),
    ]
