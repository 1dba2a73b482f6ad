"""Hugging Face's BLIP-2 under the names of LAVIS, renamed by a list of its own."""

import re

import torch

RENAME = [
    (r'^vision_model\.embeddings\.class_embedding', 'visual_encoder.cls_token'),
    (r'^vision_model\.embeddings\.position_embedding', 'visual_encoder.pos_embed'),
    (r'^vision_model\.embeddings\.patch_embedding', 'visual_encoder.patch_embed.proj'),
    (r'^vision_model\.post_layernorm', 'ln_vision'),
    (r'^vision_model\.encoder\.layers', 'visual_encoder.blocks'),
    (r'layer_norm(\d)', r'norm\1'),
    (r'self_attn\.qkv', 'attn.qkv'),
    (r'self_attn\.projection', 'attn.proj'),
    (r'^embeddings', 'Qformer.bert.embeddings'),
    (r'^qformer\.layernorm', 'Qformer.bert.embeddings.LayerNorm'),
    (r'^qformer', 'Qformer.bert'),
    (r'attention\.attention', 'attention.self'),
    (r'^vision_projection', 'vision_proj'),
    (r'^text_projection', 'text_proj'),
]


def lavis_state(theirs, width, vocab):
    """The tensors of a Hugging Face model, and a caption head and a temperature, as LAVIS saves them."""
    state = {}
    for key, value in theirs.state_dict().items():
        for old, new in RENAME:
            key = re.sub(old, new, key)
        if key.endswith('attn.qkv.bias'):
            state[key.replace('qkv.bias', 'q_bias')], _, state[key.replace('qkv.bias', 'v_bias')] = (
                value.chunk(3)
            )
        else:
            state[key] = value
    generator = torch.Generator().manual_seed(4)
    head = 'Qformer.cls.predictions.'
    shapes = {'bias': (vocab,), 'transform.dense.weight': (width, width)}
    shapes |= {f'transform.{name}': (width,) for name in ('dense.bias', 'LayerNorm.weight', 'LayerNorm.bias')}
    state |= {head + name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    words = state['Qformer.bert.embeddings.word_embeddings.weight']
    state |= {head + 'decoder.weight': words.clone(), 'temp': torch.tensor(0.05)}
    return state | {'Qformer.bert.embeddings.position_ids': torch.arange(20)[None]}
