"""BLIP-2 and InstructBLIP with a language model, OPT or Vicuna: Hugging Face there and back, LAVIS."""

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from stgt_mm.converters import hf_blip2, lavis_blip2
from stgt_mm.converters.converted import Converted, KeyMap, Pairs, rename

_MODEL, _PROJECTION = 'language_model.model.', 'projection.'
_HF = KeyMap([('language_projection.*', f'{_PROJECTION}*'), ('language_model.**', f'{_MODEL}**')])
_LAVIS = KeyMap(
    [(f'{name}_proj.*', f'{_PROJECTION}*') for name in ('opt', 'llm')]
    + [(f'{name}_model.**', f'{_MODEL}**') for name in ('opt', 'llm')]
)
# a file holds tied weights once
_TIED = (f'{_MODEL}lm_head.weight', r'model\.(decoder\.)?embed_tokens\.weight')
# InstructBLIP's text embeddings are a part of its Q-Former
_INSTRUCT: Pairs = [
    ('qformer.embeddings.layernorm.', 'qformer.layernorm.'),
    ('qformer.embeddings.', 'embeddings.'),
]


def convert_hf(state_dict: Mapping[str, Tensor]) -> Converted:
    """Turns ``Blip2ForConditionalGeneration`` or InstructBLIP into a ``VideoQuestionAnswerer`` without neck.

    The language models are OPT and LLaMA; what only other uses of the Q-Former read is left aside.
    """
    return _convert(state_dict, _HF, hf_blip2.convert, _INSTRUCT)


def convert_lavis(state_dict: Mapping[str, Tensor]) -> Converted:
    """Turns LAVIS' ``Blip2OPT`` or ``Blip2VicunaInstruct`` into a ``VideoQuestionAnswerer`` without neck."""
    return _convert(state_dict, _LAVIS, lavis_blip2.convert)


def _convert(
    state_dict: Mapping[str, Tensor],
    names: KeyMap,
    convert_rest: Callable[[Mapping[str, Tensor]], Converted],
    spellings: Pairs = (),
) -> Converted:
    rest, origin = {}, {}
    for key, tensor in state_dict.items():
        if names.get(key) is None:
            new = next((key.replace(old, new) for old, new in spellings if key.startswith(old)), key)
            rest[new], origin[new] = tensor, key
    out = convert_rest(rest)
    out.origin = {name: tuple(origin[key] for key in keys) for name, keys in out.origin.items()}
    out.merge(rename({key: tensor for key, tensor in state_dict.items() if names.get(key)}, names))
    _leave_unread_text(out)
    head, pattern = _TIED
    words = [name for name in out if re.fullmatch(re.escape(_MODEL) + pattern, name)]
    if words and head not in out:
        out.fill(head, out[words[0]], f'tied to {words[0]}')
    return out


def _leave_unread_text(out: Converted) -> None:
    """Leaves aside the text side of a Q-Former that reads no question, and of one that does its end."""
    reads = 'qformer.embeddings.words.weight' in out
    layers = [int(found[1]) for name in out if (found := re.match(r'qformer\.layers\.(\d+)\.', name))]
    for name in list(out):
        found = re.match(r'qformer\.layers\.(\d+)\.text_', name)
        if (found and (not reads or int(found[1]) == max(layers))) or name.startswith('qformer.causal_head.'):
            out.leave(name, 'read by nothing when a question is answered')


def revert_hf(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turns an answerer's names into those of ``Blip2ForConditionalGeneration``.

    The neck keeps its own; a key without a name is a ValueError. A Q-Former that reads questions comes out
    without the text side of its last layer, which nothing reads.
    """
    back = _HF.reverse()
    language = {key: tensor for key, tensor in state_dict.items() if back.get(key)}
    rest = {key: tensor for key, tensor in state_dict.items() if key not in language}
    return hf_blip2.revert(rest) | dict(rename(language, back))
