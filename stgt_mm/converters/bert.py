"""BERT, ``bert-base-uncased``, as the start of a Q-Former."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from stgt_mm.converters.converted import Converted, KeyMap, qformer_layers, rename

_SEGMENTS, _POSITIONS = 'segments', 'qformer.embeddings.positions.weight'


def bert_names(encoder: str, predictions: str) -> list[tuple[str, str]]:
    """Lists BERT's names below the prefixes of its encoder and of its head, and those of a Q-Former."""
    return [
        (encoder + 'embeddings.word_embeddings.weight', 'qformer.embeddings.words.weight'),
        (encoder + 'embeddings.position_embeddings.weight', _POSITIONS),
        (encoder + 'embeddings.LayerNorm.*', 'qformer.embeddings.norm.*'),
        (predictions + 'bias', 'qformer.causal_head.bias'),
        (predictions + 'transform.dense.*', 'qformer.causal_head.dense.*'),
        (predictions + 'transform.LayerNorm.*', 'qformer.causal_head.norm.*'),
        *qformer_layers(encoder + 'encoder.layer.', 'qformer.layers.', 'self'),
    ]


_NAMES = KeyMap([('embeddings.token_type_embeddings.weight', _SEGMENTS), *bert_names('', 'cls.predictions.')])
_ASIDE = (
    (r'pooler\..*|cls\.seq_relationship\..*', 'only for the pre-training of BERT'),
    (r'cls\.predictions\.decoder\.(weight|bias)', 'tied to the word embeddings and the bias'),
    (r'.*position_ids', 'a counter, no weight'),
)


def convert(state_dict: Mapping[str, Tensor], add_dec: bool = True) -> Converted:
    """Makes a Q-Former of a BERT: the text side as it is, the feed-forward of the queries a copy of its own.

    A Q-Former has no segment embedding: that of segment 0, which BERT adds to every token, goes into the
    positions, so that texts give what BERT gives. ``add_dec`` appends a row for ``[DEC]``, the mean of the
    others: 30,522 tokens become 30,523. Old files write ``gamma`` and ``beta`` for weight and bias of
    LayerNorms.

    Source: BLIP-2 (arXiv 2301.12597), section 3.1: the Q-Former starts from BERT-base.
    """
    out = rename(state_dict, _NAMES, _ASIDE, spelling=_modern)
    segments, keys = out.pop(_SEGMENTS, None), out.origin.pop(_SEGMENTS, ())
    if segments is not None and _POSITIONS in out:
        out[_POSITIONS] = out[_POSITIONS] + segments[0]
        out.origin[_POSITIONS] += keys
    for name in list(out):
        if '.text_ffn.' in name or '.text_residual.' in name:
            out.put(name.replace('.text_', '.query_'), out[name].clone(), *out.origin[name])
    for name in ('qformer.embeddings.words.weight', 'qformer.causal_head.bias') if add_dec else ():
        if name in out:
            mean = out[name].float().mean(dim=0, keepdim=True).to(out[name].dtype)
            out[name] = torch.cat([out[name], mean])
    return out


def _modern(key: str) -> str:
    """Takes away what differs between files: the prefix of the encoder and old names of LayerNorms."""
    key = key.removeprefix('bert.')
    return re.sub(r'gamma$', 'weight', re.sub(r'beta$', 'bias', key))
