"""A trained model as a folder of Hugging Face: ``config.json`` and safetensors, in shards if large."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import save_torch_state_dict
from safetensors import SafetensorError
from torch import nn

from stgt_mm.converters import hf_blip2
from stgt_mm.io.weight_files import independent
from stgt_mm.io.whole_file import whole_file

SHARD_SIZE = '5GB'


def obstacles(model: nn.Module) -> list[str]:
    """Lists why Hugging Face's ``Blip2ForImageTextRetrieval`` would not give an aligner's outputs."""
    qformer, keys = model.qformer, model.state_dict()
    first, depth = qformer.layers[0], len(qformer.layers)
    crossed = [index for index, layer in enumerate(qformer.layers) if layer.cross_attention is not None]
    conditions = {
        'it has a neck': model.neck is not None,
        'the backbone is no EVA ViT': 'backbone.vit.blocks.0.attn.q_bias' not in keys,
        'the backbone scales its tokens': model.backbone.token_scale != 1,
        'the backbone has a final norm of its own': model.backbone.final_norm,
        'there is no vision_norm': not isinstance(model.vision_norm, nn.LayerNorm),
        'there is no matching head': model.matching_head is None,
        "the Q-Former's norm is not 'post'": first.self_residual.pre,
        'residual_gain is not 1': first.self_residual.gain != 1,
        'frames are not square': len(set(model.backbone.img_size)) != 1,
        'cross-attention is not in every n-th layer': crossed != list(range(0, depth, _frequency(qformer))),
    }
    return [reason for reason, is_so in conditions.items() if is_so]


def _frequency(qformer: nn.Module) -> int:
    where = [index for index, layer in enumerate(qformer.layers) if layer.cross_attention is not None]
    return where[1] - where[0] if len(where) > 1 else len(qformer.layers)


def blip2_config(model: nn.Module) -> dict[str, Any]:
    """Describes an aligner in the words of Hugging Face's ``Blip2Config``, for ``config.json``."""
    vit, qformer = model.backbone.vit, model.qformer
    first = qformer.layers[0]
    block = vit.blocks[0]
    text = qformer.embeddings
    return {
        'architectures': ['Blip2ForImageTextRetrieval'],
        'model_type': 'blip-2',
        'num_query_tokens': qformer.num_queries,
        'image_text_hidden_size': model.contrastive_head.text_proj.out_features,
        'vision_config': {
            'model_type': 'blip_2_vision_model',
            'hidden_size': vit.embed_dim,
            'intermediate_size': block.mlp.fc1.out_features,
            'num_hidden_layers': len(vit.blocks),
            'num_attention_heads': block.attn.num_heads,
            'image_size': model.backbone.img_size[0],
            'patch_size': vit.patch_embed.proj.kernel_size[0],
            'hidden_act': 'gelu',
            'layer_norm_eps': block.norm1.eps,
            'qkv_bias': True,
        },
        'qformer_config': {
            'model_type': 'blip_2_qformer',
            'vocab_size': text.words.num_embeddings,
            'hidden_size': qformer.width,
            'num_hidden_layers': len(qformer.layers),
            'num_attention_heads': first.self_attention.num_heads,
            'intermediate_size': first.text_ffn.up.out_features,
            'max_position_embeddings': text.positions.num_embeddings,
            'layer_norm_eps': text.norm.eps,
            'hidden_dropout_prob': text.dropout.p,
            'attention_probs_dropout_prob': first.self_attention.dropout,
            'cross_attention_frequency': _frequency(qformer),
            'encoder_hidden_size': vit.embed_dim,
            'use_qformer_text_input': True,
        },
    }


def write_folder(model: nn.Module, folder: str | Path, shard_size: str = SHARD_SIZE) -> list[str]:
    """Writes an aligner as a folder that ``convert.py hf_blip2`` reads back.

    Returns why transformers cannot load it as ``Blip2ForImageTextRetrieval``; nothing if it can. A folder
    with files in it, or a key that has no name there, is a ValueError.
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"the folder '{folder}' is not empty: name another, or empty it.")
    state = independent(hf_blip2.revert(model.state_dict()))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        save_torch_state_dict(state, folder, max_shard_size=shard_size)
    except SafetensorError as error:
        raise OSError(f"cannot write the weights into '{folder}': {error}. Is the disk full?") from error
    reasons = obstacles(model)
    config = {'architectures': [type(model).__name__]} if reasons else blip2_config(model)
    with whole_file(folder / 'config.json') as partial:
        partial.write_text(json.dumps(config, indent=2) + '\n', encoding='utf-8')
    return reasons
