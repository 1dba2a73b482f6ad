"""Hugging Face's ``Blip2ForImageTextRetrieval`` and ``Blip2VisionModel``, there and back."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from stgt_mm.converters.converted import Converted, KeyMap, qformer_layers, rename, vit_blocks

BACKBONE = 'backbone.vit.'
VISION = 'vision_model.'
_QUERIES = 'qformer.embeddings.queries'
_VISION = [
    ('embeddings.class_embedding', 'cls_token'),
    ('embeddings.position_embedding', 'pos_embed'),
    ('embeddings.patch_embedding.*', 'patch_embed.proj.*'),
    ('encoder.layers.{}.self_attn.qkv.*', 'blocks.{}.attn.qkv.*'),
    *vit_blocks(
        'encoder.layers.', 'layer_norm1', 'layer_norm2', 'self_attn.projection', 'mlp.fc1', 'mlp.fc2'
    ),
]
# the last three are of this package alone; Hugging Face's class passes these names by
_REST = [
    ('vision_model.post_layernorm.*', 'vision_norm.*'),
    ('embeddings.word_embeddings.weight', 'qformer.embeddings.words.weight'),
    ('embeddings.position_embeddings.weight', 'qformer.embeddings.positions.weight'),
    ('qformer.layernorm.*', 'qformer.embeddings.norm.*'),
    ('query_tokens', _QUERIES),
    ('vision_projection.*', 'contrastive_head.vision_proj.*'),
    ('text_projection.*', 'contrastive_head.text_proj.*'),
    ('itm_head.*', 'matching_head.classifier.*'),
    *qformer_layers('qformer.encoder.layer.', 'qformer.layers.', 'attention'),
    ('neck.**', 'neck.**'),
    ('causal_head.**', 'qformer.causal_head.**'),
    ('temp', 'contrastive_head.temp'),
]
_NAMES = KeyMap([*((VISION + theirs, BACKBONE + ours) for theirs, ours in _VISION), *_REST])
# a backbone that is no EVA ViT keeps its names
_NAMES_OTHER_VIT = KeyMap([(f'{BACKBONE}**', f'{BACKBONE}**'), *_REST])
_ASIDE = (
    (r'.*position_ids', 'a counter, no weight'),
    (r'language_(model|projection)\..*', 'a language model, which retrieval has not'),
)
_NOT_VISION = r'(?!backbone\.|vision_norm\.)'


def convert(state_dict: Mapping[str, Tensor]) -> Converted:
    """Turns Hugging Face's names into those of :class:`stgt_mm.models.VideoTextAligner`.

    Reads ``Blip2ForImageTextRetrieval``, a folder that ``export.py`` wrote, or ``Blip2VisionModel``, whose
    names lack ``vision_model.`` and all but the image side. Hugging Face keeps a bias of the keys, which
    changes no attention (it adds the same to all scores of a query) and which EVA does not have: it is left
    out.
    """
    vision_alone = 'embeddings.class_embedding' in state_dict
    prefix = VISION if vision_alone else ''
    other_vit = any(key.startswith(BACKBONE) for key in state_dict)
    names = _NAMES_OTHER_VIT if other_vit else _NAMES
    out = rename(state_dict, names, _ASIDE, spelling=lambda key: prefix + key)
    for name in [x for x in out if x.startswith(BACKBONE) and x.endswith('.attn.qkv.bias') and not other_vit]:
        query, _, value = out.pop(name).chunk(3)
        origin = out.origin.pop(name)
        out.put(name.replace('qkv.bias', 'q_bias'), query, *origin)
        out.put(name.replace('qkv.bias', 'v_bias'), value, *origin)
    if _QUERIES in out and out[_QUERIES].dim() == 3:
        out[_QUERIES] = out[_QUERIES][0]
    if vision_alone:
        out.gaps = {_NOT_VISION: 'Blip2VisionModel has the image side alone'}
    return out


def revert(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turns an aligner's names into Hugging Face's; a key without one is a ValueError.

    The neck, the caption head, the temperature and a backbone that is no EVA ViT keep names of their own,
    which :func:`convert` reads back.
    """
    eva, state = False, {}  # in the order of the model: it decides what is in which shard
    for key, tensor in state_dict.items():
        bias = re.fullmatch(r'(backbone\.vit\.blocks\.\d+\.attn\.)([qv])_bias', key)
        if bias is None:
            state[key] = tensor[None] if key == _QUERIES else tensor
        elif bias[2] == 'q':
            eva, value = True, state_dict[f'{bias[1]}v_bias']
            state[f'{bias[1]}qkv.bias'] = torch.cat([tensor, torch.zeros_like(tensor), value])
    out = rename(state, (_NAMES if eva else _NAMES_OTHER_VIT).reverse())
    if out.unknown:
        raise ValueError('no name in a Hugging Face folder for:\n  ' + '\n  '.join(out.unknown))
    return dict(out)


def revert_vision_model(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turns a backbone and the norm behind it, alone or in an aligner, into ``Blip2VisionModel``.

    The bias of the keys, which changes no attention, is 0. Another backbone, or none of either, is a
    ValueError.
    """
    vision = {key: tensor for key, tensor in state_dict.items() if not re.match(_NOT_VISION, key)}
    if not any(key.endswith('.attn.q_bias') for key in vision):
        raise ValueError(f'no EVA ViT below {BACKBONE}: Blip2VisionModel has no other backbone.')
    if 'vision_norm.weight' not in vision:
        raise ValueError("there is no 'vision_norm', which Blip2VisionModel has as post_layernorm.")
    return {key.removeprefix(VISION): tensor for key, tensor in revert(vision).items()}
