"""BERT, ``bert-base-uncased``, as the start of a Q-Former."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from stgt_mm.converters.converted import Converted, KeyMap, qformer_layers, rename

_NAMES = KeyMap(
    [
        ('embeddings.word_embeddings.weight', 'qformer.embeddings.words.weight'),
        ('embeddings.position_embeddings.weight', 'qformer.embeddings.positions.weight'),
        ('embeddings.LayerNorm.*', 'qformer.embeddings.norm.*'),
        ('cls.predictions.bias', 'qformer.causal_head.bias'),
        ('cls.predictions.transform.dense.*', 'qformer.causal_head.dense.*'),
        ('cls.predictions.transform.LayerNorm.*', 'qformer.causal_head.norm.*'),
    ]
    + qformer_layers('encoder.layer.', 'qformer.layers.', 'self')
)
_ASIDE = (
    (r'pooler\..*|cls\.seq_relationship\..*', 'only for the pre-training of BERT'),
    (r'cls\.predictions\.decoder\.(weight|bias)', 'tied to the word embeddings and the bias'),
    (r'.*position_ids', 'a counter, no weight'),
)
_SEGMENTS = 'embeddings.token_type_embeddings.weight'
_BY_TOKEN = ('qformer.embeddings.words.weight', 'qformer.causal_head.bias')


def convert(state_dict: Mapping[str, Tensor], add_dec: bool = True) -> Converted:
    """Makes a Q-Former of a BERT: the text side as it is, the feed-forward of the queries a copy of its own.

    A Q-Former has no segment embedding: that of segment 0, which BERT adds to every token, goes into the
    positions, so that texts give what BERT gives.

    Args:
        state_dict: Of ``BertModel``, ``BertForPreTraining`` or ``BertForMaskedLM``; old files write ``gamma``
            and ``beta`` for the weight and the bias of a LayerNorm.
        add_dec: Whether to append a row for ``[DEC]``, the mean of the others: 30,522 tokens become 30,523.

    Returns:
        Keys below ``qformer.``; queries and cross-attention are not in a BERT.

    Source: BLIP-2 (arXiv 2301.12597), section 3.1: the Q-Former starts from BERT-base.
    """
    names = {_modern(key): key for key in state_dict}
    renamed = rename({new: state_dict[key] for new, key in names.items() if new != _SEGMENTS}, _NAMES, _ASIDE)
    out = Converted()
    for name, tensor in renamed.items():
        out.put(name, tensor, *(names[key] for key in renamed.origin[name]))
    out.left_aside = {names[key]: why for key, why in renamed.left_aside.items()}
    out.unknown = [names[key] for key in renamed.unknown]
    positions = 'qformer.embeddings.positions.weight'
    if _SEGMENTS in names and positions in out:
        out[positions] = out[positions] + state_dict[names[_SEGMENTS]][0]
        out.origin[positions] += (names[_SEGMENTS],)
    for name in list(out):
        if '.text_ffn.' in name or '.text_residual.' in name:
            out.put(name.replace('.text_', '.query_'), out[name].clone(), *out.origin[name])
    if add_dec:
        for name in _BY_TOKEN:
            if name in out:
                mean = out[name].float().mean(dim=0, keepdim=True).to(out[name].dtype)
                out[name] = torch.cat([out[name], mean])
    return out


def _modern(key: str) -> str:
    """Takes away what differs between files: the prefix of the encoder and old names of LayerNorms."""
    key = key.removeprefix('bert.')
    return re.sub(r'gamma$', 'weight', re.sub(r'beta$', 'bias', key))
