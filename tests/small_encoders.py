"""Folders of small dual encoders with random weights, with all files that published ones have."""

import json

import pytest
import torch
from safetensors.torch import save_file
from small_blip2 import randomise
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    AutoConfig,
    AutoModel,
    CLIPImageProcessor,
    LlavaOnevisionVideoProcessor,
    PreTrainedTokenizerFast,
    Siglip2ImageProcessor,
    SiglipImageProcessor,
    VideoMAEImageProcessor,
)

FRAMES, SIDE, LENGTH = 4, 32, 12
WORDS = [
    '<pad>',
    '<s>',
    '</s>',
    '<unk>',
    *['a', 'red', 'blue', 'circle', 'square', 'moves', 'left', 'right', 'grows', 'and', 'stops', 'the'],
]
_SIZES = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
_TEXT = dict(**_SIZES, vocab_size=len(WORDS), max_position_embeddings=LENGTH)
_IDS = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)
_VISION = dict(**_SIZES, image_size=SIDE, patch_size=8)
_MIT = dict(mit_hidden_size=32, mit_intermediate_size=64, mit_num_hidden_layers=1, mit_num_attention_heads=2)
_PRISM = dict(hidden_size=32, intermediate_size=64, num_attention_heads=2, tubelet_size=[1, 8, 8])
_LAYERS = dict(num_spatial_layers=1, num_temporal_layers=1, num_auxiliary_layers=1)
CONFIGS = {
    'clip': dict(projection_dim=32, text_config=_TEXT | _IDS, vision_config=_VISION),
    'siglip': dict(text_config=_TEXT | _IDS, vision_config=_VISION),
    'siglip2': dict(text_config=_TEXT | _IDS, vision_config=dict(**_SIZES, patch_size=8, num_patches=16)),
    'xclip': dict(
        projection_dim=32,
        prompt_num_attention_heads=2,
        text_config=_TEXT | _IDS,
        vision_config=dict(**_VISION, **_MIT, num_frames=FRAMES),
    ),
    'videoprism': dict(
        text_config=_TEXT, vision_config=dict(**_PRISM, **_LAYERS, image_size=SIDE, num_frames=FRAMES)
    ),
}
_SHORT = dict(size={'shortest_edge': SIDE}, crop_size={'height': SIDE, 'width': SIDE})
_SQUARE = dict(size={'height': SIDE, 'width': SIDE})
# mean and deviation are nobody's
_STATISTICS = dict(image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.4, 0.3])
PROCESSORS = {
    'clip': lambda: CLIPImageProcessor(**_SHORT, **_STATISTICS),
    'siglip': lambda: SiglipImageProcessor(**_SQUARE, **_STATISTICS),
    'siglip2': lambda: Siglip2ImageProcessor(patch_size=8, max_num_patches=16, **_STATISTICS),
    'xclip': lambda: VideoMAEImageProcessor(**_SHORT, **_STATISTICS),
    'videoprism': lambda: LlavaOnevisionVideoProcessor(**_SQUARE, do_normalize=False),
}


def publish(kind, folder, seed=0):
    """Writes a folder of ``transformers`` as it is published; returns its model and processor."""
    torch.manual_seed(seed)
    model = randomise(AutoModel.from_config(AutoConfig.for_model(kind, **CONFIGS[kind]))).eval()
    if hasattr(model, 'logit_scale'):
        model.logit_scale.data.fill_(3.0)
    model.save_pretrained(folder)
    processor = PROCESSORS[kind]()
    processor.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return model, processor


def _tokenizer():
    words = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token='<unk>'))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        '<s> $A </s>', special_tokens=[('<s>', 1), ('</s>', 2)]
    )
    special = dict(pad_token='<pad>', unk_token='<unk>', bos_token='<s>', eos_token='</s>')
    return PreTrainedTokenizerFast(tokenizer_object=words, **special)


def publish_open_clip(folder, seed=0):
    """Writes a folder of ``open_clip`` as it is published; returns its model and transform."""
    open_clip = pytest.importorskip('open_clip')
    vision = dict(image_size=SIDE, patch_size=8, width=32, layers=2, head_width=16)
    text = dict(context_length=LENGTH, vocab_size=49408, width=32, heads=2, layers=2)
    cfg = dict(embed_dim=24, vision_cfg=vision, text_cfg=text, custom_text=True)
    prepare = dict(mean=[0.5] * 3, std=[0.4] * 3, interpolation='bilinear', resize_mode='squash')
    folder.mkdir(parents=True, exist_ok=True)
    described = dict(model_cfg=cfg, preprocess_cfg=prepare)
    (folder / 'open_clip_config.json').write_text(json.dumps(described))
    torch.manual_seed(seed)
    options = dict(embed_dim=24, vision_cfg=vision, text_cfg=text)
    model = randomise(open_clip.model.CustomTextCLIP(**options))
    model.logit_scale.data.fill_(3.0)
    save_file(model.state_dict(), folder / 'open_clip_model.safetensors')
    return open_clip.create_model_and_transforms(f'local-dir:{folder}')[::2]
