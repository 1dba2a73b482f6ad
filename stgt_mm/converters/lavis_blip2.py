"""BLIP-2's first stage as LAVIS saves it: ``blip2_pretrained*.pth``."""

from collections.abc import Mapping

import torch
from torch import Tensor

from stgt_mm.converters import eva, openai_clip
from stgt_mm.converters.bert import bert_names
from stgt_mm.converters.converted import Converted, KeyMap, rename, strip_prefix

VISION = 'visual_encoder.'
BACKBONE = 'backbone.vit.'
_QUERIES = 'qformer.embeddings.queries'
_BERT, _PREDICTIONS = 'Qformer.bert.', 'Qformer.cls.predictions.'
_NAMES = KeyMap(
    [
        ('ln_vision.*', 'vision_norm.*'),
        ('query_tokens', _QUERIES),
        ('vision_proj.*', 'contrastive_head.vision_proj.*'),
        ('text_proj.*', 'contrastive_head.text_proj.*'),
        ('temp', 'contrastive_head.temp'),
        ('itm_head.*', 'matching_head.classifier.*'),
        *bert_names(_BERT, _PREDICTIONS),
    ]
)
_ASIDE = (
    (r'.*position_ids', 'a counter, no weight'),
    (r'(t5|opt|llm)_(model|proj)\..*', 'a language model, which retrieval has not'),
)
# saved twice because they are tied
_TIED = {
    _PREDICTIONS + 'decoder.weight': _BERT + 'embeddings.word_embeddings.weight',
    _PREDICTIONS + 'decoder.bias': _PREDICTIONS + 'bias',
}


def convert(state_dict: Mapping[str, Tensor]) -> Converted:
    """Turns LAVIS' names into those of a :class:`stgt_mm.models.VideoTextAligner` without neck.

    ``visual_encoder.*``, where a file has one, is an EVA ViT-g or CLIP's ViT-L.
    """
    vision = strip_prefix(state_dict, VISION)
    rest = {key: tensor for key, tensor in state_dict.items() if not key.startswith(VISION)}
    tied = {
        key: f"the same as '{twin}'"
        for key, twin in _TIED.items()
        if key in rest and twin in rest and torch.equal(rest[key], rest[twin])
    }
    out = rename({key: tensor for key, tensor in rest.items() if key not in tied}, _NAMES, _ASIDE)
    out.left_aside.update(tied)
    convert_vision = openai_clip.convert if 'class_embedding' in vision else eva.convert
    out.merge(convert_vision(vision), prefix=BACKBONE, source_prefix=VISION)
    if _QUERIES in out and out[_QUERIES].dim() == 3:
        out[_QUERIES] = out[_QUERIES][0]
    return out
