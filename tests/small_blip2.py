"""Small BLIP-2s with random weights: Hugging Face's class, and the config of ours with the same sizes."""

import torch
import transformers
from torch import nn

from stgt_mm.models.backbones.timm_vit import TimmViT
from stgt_mm.registry import MODELS

C, D, Q, P, DEPTH, VOCAB, IMAGE, PATCH, POSITIONS = 64, 48, 5, 16, 3, 60, 56, 14, 20
EPS = 1e-6  # of every vision norm in Hugging Face's class


def bert_sizes(vocab, width, depth):
    """Keys of transformers' text configs, for four heads."""
    sizes = {'vocab_size': vocab, 'hidden_size': width, 'num_hidden_layers': depth}
    return {**sizes, 'num_attention_heads': 4, 'intermediate_size': 4 * width}


def vision_sizes(width, depth, image, patch):
    """Keys of transformers' vision configs, for four heads."""
    sizes = {'hidden_size': width, 'num_hidden_layers': depth, 'image_size': image, 'patch_size': patch}
    return {**sizes, 'num_attention_heads': 4, 'intermediate_size': 4 * width}


def hf_model(seed=0):
    """Every weight is drawn: where Hugging Face starts queries, biases and norms, a mix-up would not show."""
    torch.manual_seed(seed)
    vision = {**vision_sizes(C, DEPTH, IMAGE, PATCH), 'intermediate_size': 3 * C}
    qformer = {
        **bert_sizes(VOCAB, D, 4),
        'max_position_embeddings': POSITIONS,
        'use_qformer_text_input': True,
    }
    config = transformers.Blip2Config(
        vision_config=vision, qformer_config=qformer, num_query_tokens=Q, image_text_hidden_size=P
    )
    return randomise(transformers.Blip2ForImageTextRetrieval(config)).eval()


@torch.no_grad()
def randomise(model):
    for module in model.modules():
        for name, value in module.named_parameters(recurse=False):
            is_scale = isinstance(module, nn.LayerNorm) and name == 'weight'
            value.normal_(mean=float(is_scale), std=0.15 if is_scale else 0.1)
    return model


def model_cfg(**changes):
    """Config of ours without neck, of the sizes of :func:`hf_model`."""
    vit = {'depth': DEPTH, 'img_size': IMAGE, 'embed_dim': C, 'num_heads': 4, 'mlp_ratio': 3.0}
    qformer = {'width': D, 'depth': 4, 'num_heads': 4, 'num_queries': Q, 'vision_width': C}
    cfg = {
        'type': 'VideoTextAligner',
        'data_preprocessor': {'type': nn.Identity},
        'backbone': {'type': 'TimmViT', 'model_name': 'eva_giant_patch14_clip_224', **vit},
        'vision_norm': {'eps': EPS},
        'qformer': {'type': 'QFormer', 'vocab_size': VOCAB, 'max_positions': POSITIONS, **qformer},
        'contrastive_head': {'type': 'ContrastiveHead', 'width': D, 'embed_dim': P},
        'matching_head': {'type': 'MatchingHead', 'width': D},
        'caption_head': {'type': 'CaptionHead'},
    }
    return {**cfg, **changes}


def eva_vit(image=IMAGE):
    """The backbone of :func:`model_cfg` by itself."""
    return TimmViT('eva_giant_patch14_clip_224', DEPTH, image, embed_dim=C, num_heads=4, mlp_ratio=3.0).eval()


def build(**changes):
    torch.manual_seed(1)
    return MODELS.build(model_cfg(**changes)).eval()


def load(model, state):
    """Loads what is there, and returns the names that are not."""
    result = model.load_state_dict(state, strict=False)
    assert result.unexpected_keys == []
    return result.missing_keys


def batch(count=3, length=7, seed=2):
    """Frames (count, 3, IMAGE, IMAGE), ids and mask (count, length); all but the last text are padded."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(count, 3, IMAGE, IMAGE, generator=generator)
    ids = torch.randint(1, VOCAB, (count, length), generator=generator)
    lengths = torch.tensor([3, 5, 7])[:count]
    mask = torch.arange(length) < lengths[:, None]
    return pixels, ids.masked_fill(~mask, 0), mask


@torch.no_grad()
def our_logits(model, pixels, ids, mask):
    """ITC (images, texts) and ITM (pairs, 2) logits of single frames."""
    features = model.encode_video({'video': pixels[:, None]})
    itc = model.similarity(features.queries, model.encode_text(ids, mask))
    projected = model.qformer.project_video(features.tokens)
    return itc, model.matching_head(model.qformer.fuse(projected, ids[:, None], mask[:, None]))[:, 0]


@torch.no_grad()
def hf_logits(model, pixels, ids, mask):
    inputs = {'pixel_values': pixels, 'input_ids': ids, 'attention_mask': mask.long()}
    itc = model(**inputs, use_image_text_matching_head=False).logits_per_image
    return itc, model(**inputs, use_image_text_matching_head=True).logits_per_image
