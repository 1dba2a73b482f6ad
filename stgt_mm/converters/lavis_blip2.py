"""BLIP-2's first stage as LAVIS saves it: ``blip2_pretrained*.pth``."""

from collections.abc import Mapping

import torch
from torch import Tensor

from stgt_mm.converters import eva, openai_clip
from stgt_mm.converters.converted import Converted, KeyMap, below, qformer_layers, rename

VISION = 'visual_encoder.'
BACKBONE = 'backbone.vit.'
_PREDICTIONS = 'Qformer.cls.predictions.'
_NAMES = KeyMap(
    [
        ('ln_vision.*', 'vision_norm.*'),
        ('query_tokens', 'qformer.embeddings.queries'),
        ('Qformer.bert.embeddings.word_embeddings.weight', 'qformer.embeddings.words.weight'),
        ('Qformer.bert.embeddings.position_embeddings.weight', 'qformer.embeddings.positions.weight'),
        ('Qformer.bert.embeddings.LayerNorm.*', 'qformer.embeddings.norm.*'),
        (_PREDICTIONS + 'bias', 'qformer.causal_head.bias'),
        (_PREDICTIONS + 'transform.dense.*', 'qformer.causal_head.dense.*'),
        (_PREDICTIONS + 'transform.LayerNorm.*', 'qformer.causal_head.norm.*'),
        ('vision_proj.*', 'contrastive_head.vision_proj.*'),
        ('text_proj.*', 'contrastive_head.text_proj.*'),
        ('temp', 'contrastive_head.temp'),
        ('itm_head.*', 'matching_head.classifier.*'),
    ]
    + qformer_layers('Qformer.bert.encoder.layer.', 'qformer.layers.', 'self')
)
_ASIDE = (
    (r'.*position_ids', 'a counter, no weight'),
    (r'(t5|opt|llm)_(model|proj)\..*', 'a language model, which retrieval has not'),
)
# saved twice because they are tied
_TIED = {
    _PREDICTIONS + 'decoder.weight': 'Qformer.bert.embeddings.word_embeddings.weight',
    _PREDICTIONS + 'decoder.bias': _PREDICTIONS + 'bias',
}


def convert(state_dict: Mapping[str, Tensor]) -> Converted:
    """Turns LAVIS' names into those of :class:`stgt_mm.models.VideoTextAligner`.

    Args:
        state_dict: ``Qformer.*``, ``query_tokens``, ``ln_vision.*``, the projections, ``itm_head``, ``temp``,
            and ``visual_encoder.*`` (an EVA ViT-g, or CLIP's ViT-L) where the file has one.

    Returns:
        The keys of an aligner without neck.
    """
    vision = below(state_dict, VISION)
    rest = {key: tensor for key, tensor in state_dict.items() if not key.startswith(VISION)}
    tied = [key for key, twin in _TIED.items() if _equal(rest.get(key), rest.get(twin))]
    out = rename({key: tensor for key, tensor in rest.items() if key not in tied}, _NAMES, _ASIDE)
    out.left_aside.update({key: f"the same as '{_TIED[key]}'" for key in tied})
    convert_vision = openai_clip.convert if 'class_embedding' in vision else eva.convert
    out.merge(convert_vision(vision), prefix=BACKBONE, source_prefix=VISION)
    queries = out.get('qformer.embeddings.queries')
    if queries is not None and queries.dim() == 3:
        out['qformer.embeddings.queries'] = queries[0]
    return out


def _equal(first: Tensor | None, second: Tensor | None) -> bool:
    return first is not None and second is not None and torch.equal(first, second)
