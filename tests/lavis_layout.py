"""Models under the names of LAVIS and of OpenAI, renamed by lists of their own."""

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


def openai_layout(state, prefix='visual.'):
    """Renames timm's tensors to OpenAI's, by a list of its own."""
    swaps = {'patch_embed.proj': 'conv1', 'norm_pre': 'ln_pre', 'blocks.': 'transformer.resblocks.'}
    swaps |= {'norm1': 'ln_1', 'norm2': 'ln_2', 'attn.qkv.': 'attn.in_proj_', 'attn.proj': 'attn.out_proj'}
    swaps |= {'mlp.fc1': 'mlp.c_fc', 'mlp.fc2': 'mlp.c_proj', 'pos_embed': 'positional_embedding'}
    swaps |= {'cls_token': 'class_embedding'}
    out = {}
    for key, value in state.items():
        key = 'ln_post' + key[4:] if key.startswith('norm.') else key
        for new, old in swaps.items():
            key = key.replace(new, old)
        value = value[0] if key in ('positional_embedding', 'class_embedding') else value
        out[prefix + key] = value[0] if key == 'class_embedding' else value
    return out
