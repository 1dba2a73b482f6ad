"""Hugging Face's ``Blip2ForImageTextRetrieval`` and ``Blip2VisionModel``, there and back."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from stgt_mm.converters.converted import Converted, KeyMap, qformer_layers, rename

BACKBONE = 'backbone.vit.'
VISION = 'vision_model.'
# what this package adds; Hugging Face's class passes these names by
OWN = (
    ('neck.', 'neck.'),
    ('causal_head.', 'qformer.causal_head.'),
    ('temp', 'contrastive_head.temp'),
)
_VISION = [
    ('embeddings.class_embedding', 'cls_token'),
    ('embeddings.position_embedding', 'pos_embed'),
    ('embeddings.patch_embedding.*', 'patch_embed.proj.*'),
    ('encoder.layers.{}.layer_norm1.*', 'blocks.{}.norm1.*'),
    ('encoder.layers.{}.layer_norm2.*', 'blocks.{}.norm2.*'),
    ('encoder.layers.{}.self_attn.qkv.weight', 'blocks.{}.attn.qkv.weight'),
    ('encoder.layers.{}.self_attn.projection.*', 'blocks.{}.attn.proj.*'),
    ('encoder.layers.{}.mlp.fc1.*', 'blocks.{}.mlp.fc1.*'),
    ('encoder.layers.{}.mlp.fc2.*', 'blocks.{}.mlp.fc2.*'),
]
_NAMES = KeyMap(
    [(f'vision_model.{theirs}', f'{BACKBONE}{ours}') for theirs, ours in _VISION]
    + [
        ('vision_model.post_layernorm.*', 'vision_norm.*'),
        ('embeddings.word_embeddings.weight', 'qformer.embeddings.words.weight'),
        ('embeddings.position_embeddings.weight', 'qformer.embeddings.positions.weight'),
        ('qformer.layernorm.*', 'qformer.embeddings.norm.*'),
        ('query_tokens', 'qformer.embeddings.queries'),
        ('vision_projection.*', 'contrastive_head.vision_proj.*'),
        ('text_projection.*', 'contrastive_head.text_proj.*'),
        ('itm_head.*', 'matching_head.classifier.*'),
    ]
    + qformer_layers('qformer.encoder.layer.', 'qformer.layers.', 'attention')
)
_ASIDE = (
    (r'.*position_ids', 'a counter, no weight'),
    (r'language_(model|projection)\..*', 'a language model, which retrieval has not'),
)
_CLASS_TOKEN = 'embeddings.class_embedding'
_NOT_VISION = r'(?!backbone\.|vision_norm\.)'
_THEIR_BIAS = re.compile(r'vision_model\.encoder\.layers\.(\d+)\.self_attn\.qkv\.bias')
_OUR_BIAS = re.compile(r'backbone\.vit\.blocks\.(\d+)\.attn\.q_bias')


def convert(state_dict: Mapping[str, Tensor]) -> Converted:
    """Turns Hugging Face's names into those of :class:`stgt_mm.models.VideoTextAligner`.

    Hugging Face keeps a bias of the keys, which changes no attention (it adds the same to all scores of a
    query) and which EVA does not have: it is left out.

    Args:
        state_dict: Of ``Blip2ForImageTextRetrieval``, or a folder that ``export.py`` wrote; or of
            ``Blip2VisionModel``, whose names lack ``vision_model.``.

    Returns:
        The keys of an aligner. Hugging Face has neither the head that generates captions nor the temperature.
    """
    if _CLASS_TOKEN in state_dict:
        return convert_vision_model(state_dict)
    biases, own, rest = Converted(), Converted(), {}
    for key, tensor in state_dict.items():
        match = _THEIR_BIAS.fullmatch(key)
        ours = _own_name(key)
        if match is not None:
            query, _, value = tensor.chunk(3)
            biases.put(f'{BACKBONE}blocks.{match[1]}.attn.q_bias', query, key)
            biases.put(f'{BACKBONE}blocks.{match[1]}.attn.v_bias', value, key)
        elif ours is not None:
            own.put(ours, tensor, key)
        else:
            rest[key] = tensor
    out = rename(rest, _NAMES, _ASIDE)
    out.merge(biases)
    out.merge(own)
    queries = out.get('qformer.embeddings.queries')
    if queries is not None and queries.dim() == 3:
        out['qformer.embeddings.queries'] = queries[0]
    return out


def convert_vision_model(state_dict: Mapping[str, Tensor]) -> Converted:
    """Turns ``Blip2VisionModel`` into a backbone and the norm behind it.

    Args:
        state_dict: Names without ``vision_model.``.

    Returns:
        ``backbone.vit.*`` and ``vision_norm.*``; all else of an aligner is among its ``gaps``.
    """
    whole = convert({f'{VISION}{key}': tensor for key, tensor in state_dict.items()})
    out = Converted()
    for name, tensor in whole.items():
        out.put(name, tensor, *(key.removeprefix(VISION) for key in whole.origin[name]))
    out.left_aside = {key.removeprefix(VISION): why for key, why in whole.left_aside.items()}
    out.unknown = [key.removeprefix(VISION) for key in whole.unknown]
    out.gaps = {_NOT_VISION: 'Blip2VisionModel has the image side alone'}
    return out


def revert(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turns an aligner's names into Hugging Face's.

    Args:
        state_dict: Of a :class:`stgt_mm.models.VideoTextAligner`.

    Returns:
        Hugging Face's names for what it has; the neck, the caption head, the temperature and a backbone that
        is no EVA ViT keep names of their own, which :func:`convert` reads back.

    Raises:
        ValueError: If a key has no name there.
    """
    names = _NAMES.reverse()
    eva = any(_OUR_BIAS.fullmatch(key) for key in state_dict)
    out, unknown = {}, []
    for key, tensor in state_dict.items():
        bias = _OUR_BIAS.fullmatch(key)
        if bias is not None:
            value = state_dict[key.replace('q_bias', 'v_bias')]
            joined = torch.cat([tensor, torch.zeros_like(tensor), value])
            out[f'vision_model.encoder.layers.{bias[1]}.self_attn.qkv.bias'] = joined
        elif eva and key.endswith('.attn.v_bias'):
            continue
        elif key.startswith('backbone.') and not eva:
            out[key] = tensor
        else:
            new = _their_own_name(key) or names.get(key)
            unknown += [] if new else [key]
            out[new or key] = tensor[None] if new == 'query_tokens' else tensor
    if unknown:
        raise ValueError('no name in a Hugging Face folder for:\n  ' + '\n  '.join(unknown))
    return out


def revert_vision_model(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turns a backbone and the norm behind it into ``Blip2VisionModel``.

    Args:
        state_dict: ``backbone.vit.*`` and ``vision_norm.*``, alone or among the others of an aligner.

    Returns:
        Names without ``vision_model.``; the bias of the keys, which changes no attention, is 0.

    Raises:
        ValueError: If the backbone is no EVA ViT, or there is no ``vision_norm``.
    """
    vision = {key: tensor for key, tensor in state_dict.items() if not re.match(_NOT_VISION, key)}
    if not any(_OUR_BIAS.fullmatch(key) for key in vision):
        raise ValueError(f'no EVA ViT below {BACKBONE}: Blip2VisionModel has no other backbone.')
    if 'vision_norm.weight' not in vision:
        raise ValueError("there is no 'vision_norm', which Blip2VisionModel has as post_layernorm.")
    return {key.removeprefix(VISION): tensor for key, tensor in revert(vision).items()}


def _own_name(key: str) -> str | None:
    if key.startswith(BACKBONE):
        return key
    return next((ours + key[len(theirs) :] for theirs, ours in OWN if _starts(key, theirs)), None)


def _their_own_name(key: str) -> str | None:
    return next((theirs + key[len(ours) :] for theirs, ours in OWN if _starts(key, ours)), None)


def _starts(key: str, part: str) -> bool:
    return key.startswith(part) if part.endswith('.') else key == part
