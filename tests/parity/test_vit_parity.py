"""EVA-CLIP and OpenAI CLIP encoders: converted weights in timm's models against other implementations."""

import pytest
import timm
import torch
from lavis_layout import openai_layout
from small_blip2 import DEPTH, C, eva_vit, randomise, vision_sizes
from timm.models import eva as timm_eva
from timm.models import vision_transformer as timm_vit

from stgt_mm.converters import eva, openai_clip
from stgt_mm.converters.position import resize_positions
from stgt_mm.models.backbones.timm_vit import TimmViT

transformers = pytest.importorskip('transformers')
SIZES = {'vit_base_patch32_clip_quickgelu_224': 32, 'vit_large_patch14_clip_quickgelu_224': 14}


def eva_layout(depth):
    """The tensors of eva_vit_g.pth at reduced width: its names, shapes written out by hand."""
    attention = {'q_bias': (C,), 'v_bias': (C,), 'qkv.weight': (3 * C, C)}
    shapes = {'cls_token': (1, 1, C), 'pos_embed': (1, 1 + 16, C)}
    layers = {'patch_embed.proj': (C, 3, 14, 14), 'norm': (C,), 'head': (8, C)}
    for index in range(depth):
        block = f'blocks.{index}.'
        layers |= {block + 'norm1': (C,), block + 'attn.proj': (C, C), block + 'norm2': (C,)}
        layers |= {block + 'mlp.fc1': (3 * C, C), block + 'mlp.fc2': (C, 3 * C)}
        shapes |= {f'{block}attn.{name}': shape for name, shape in attention.items()}
    for name, shape in layers.items():
        shapes |= {f'{name}.weight': shape, f'{name}.bias': shape[:1]}
    generator = torch.Generator().manual_seed(depth)
    return {name: torch.randn(shape, generator=generator) * 0.1 for name, shape in shapes.items()}


def eva_tokens(state, images, depth):
    """EVA's forward to the output of a block, written from its definition: no key bias, norms before."""
    x = torch.nn.functional.conv2d(
        images, state['patch_embed.proj.weight'], state['patch_embed.proj.bias'], 14
    )
    x = torch.cat([state['cls_token'].expand(len(x), -1, -1), x.flatten(2).mT], 1) + state['pos_embed']

    def norm(x, name):
        return torch.nn.functional.layer_norm(x, (C,), state[name + '.weight'], state[name + '.bias'], 1e-6)

    for index in range(depth):
        block = f'blocks.{index}.'
        bias = torch.cat([state[block + 'attn.q_bias'], torch.zeros(C), state[block + 'attn.v_bias']])
        qkv = norm(x, block + 'norm1') @ state[block + 'attn.qkv.weight'].T + bias
        q, k, v = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in qkv.chunk(3, -1))
        read = ((q @ k.mT / (C // 4) ** 0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + read @ state[block + 'attn.proj.weight'].T + state[block + 'attn.proj.bias']
        y = norm(x, block + 'norm2') @ state[block + 'mlp.fc1.weight'].T + state[block + 'mlp.fc1.bias']
        y = torch.nn.functional.gelu(y) @ state[block + 'mlp.fc2.weight'].T + state[block + 'mlp.fc2.bias']
        x = x + y
    return x


@torch.no_grad()
def test_eva_is_cut_before_its_last_block():
    state = eva_layout(DEPTH + 1)
    converted = eva.convert(state, depth=DEPTH)
    assert converted.unknown == []
    assert {key for key in converted.left_aside if key.startswith('blocks.')} == {
        key for key in state if key.startswith(f'blocks.{DEPTH}.')
    }
    images = torch.randn(2, 3, 56, 56)
    backbone = eva_vit()
    backbone.vit.load_state_dict(converted, strict=True)
    tokens = backbone(images[:, None])[:, 0]
    torch.testing.assert_close(tokens, eva_tokens(state, images, DEPTH), rtol=0, atol=1e-4)


def test_forty_blocks_become_thirty_nine():
    state = {f'blocks.{index}.norm1.weight': torch.ones(2) for index in range(40)}
    assert list(eva.convert(state)) == [f'blocks.{index}.norm1.weight' for index in range(39)]
    assert list(eva.convert(state, depth=None)) == list(state)


def test_eva_clip_prefix_gives_what_timm_makes_of_it():
    """timm's own filter reads EVA-CLIP's files below 'visual.'; ours agrees with it."""
    state = {f'visual.{name}': value for name, value in eva_layout(DEPTH).items()}
    state |= {'text.transformer.weight': torch.ones(2), 'logit_scale': torch.ones(())}
    converted = eva.convert(state, depth=None)
    assert converted.unknown == []
    model = timm.create_model(
        'eva_giant_patch14_clip_224', depth=DEPTH, img_size=56, embed_dim=C, num_heads=4, mlp_ratio=3.0
    )
    theirs = timm_eva.checkpoint_filter_fn(dict(state), model)
    assert all(torch.equal(converted[key], theirs[key]) for key in converted)
    assert set(theirs) - set(converted) == {'norm.weight', 'norm.bias', 'head.weight', 'head.bias'}


def hf_clip(patch, image):
    config = transformers.CLIPVisionConfig(**vision_sizes(C, DEPTH, image, patch))
    torch.manual_seed(3)
    return randomise(transformers.CLIPVisionModel(config)).eval()


def clip_backbone(name, image, state):
    backbone = TimmViT(name, DEPTH, image, final_norm=False, embed_dim=C, num_heads=4)
    unused = backbone.vit.load_state_dict(state, strict=False)
    assert unused.missing_keys == [] and set(unused.unexpected_keys) == {'norm.weight', 'norm.bias'}
    return backbone.eval()


@pytest.mark.parametrize(('name', 'patch'), SIZES.items())
@pytest.mark.parametrize('grow', [0, 2])
@torch.no_grad()
def test_clip_tokens(name, patch, grow):
    """transformers' CLIP vision model; grown by two patches a side, positions are resized."""
    theirs = hf_clip(patch, 4 * patch)
    state = theirs.state_dict()
    state = {key if key.startswith('vision_model.') else f'vision_model.{key}': x for key, x in state.items()}
    converted = openai_clip.convert(state)
    assert converted.unknown == []
    image = (4 + grow) * patch
    if grow:
        converted = resize_positions(converted, image)
    pixels = torch.randn(2, 3, image, image)
    hidden = theirs(pixel_values=pixels, output_hidden_states=True, interpolate_pos_encoding=bool(grow))
    tokens = clip_backbone(name, image, converted)(pixels[:, None])[:, 0]
    torch.testing.assert_close(tokens, hidden.hidden_states[-1], rtol=0, atol=1e-4)


@pytest.mark.parametrize('prefix', ['visual.', ''])
def test_openai_layout_gives_what_timm_makes_of_it(prefix):
    """OpenAI's names, and LAVIS' copy of them without prefix, as timm's own filter converts them."""
    sizes = {'depth': 2, 'img_size': 64, 'embed_dim': C, 'num_heads': 4, 'num_classes': 0}
    model = timm.create_model('vit_base_patch32_clip_quickgelu_224', **sizes)
    theirs = openai_layout(randomise(model).state_dict(), prefix)
    if prefix:
        theirs |= {'visual.proj': torch.ones(C, 8), 'transformer.resblocks.0.ln_1.weight': torch.ones(4)}
        filtered = timm_vit.checkpoint_filter_fn(dict(theirs), model)
        filtered = {key: value for key, value in filtered.items() if not key.startswith('head.')}
    else:
        filtered = model.state_dict()
    converted = openai_clip.convert(theirs)
    assert converted.unknown == []
    assert converted.keys() == filtered.keys()
    assert all(torch.equal(converted[key], filtered[key]) for key in filtered)
    assert all(torch.equal(converted[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ('width', 'patch', 'known'), [(768, 32, True), (768, 16, True), (1024, 14, True), (64, 8, False)]
)
def test_timm_names_are_of_that_size(width, patch, known):
    state = {'patch_embed.proj.weight': torch.empty(width, 3, patch, patch, device='meta')}
    if not known:
        with pytest.raises(ValueError, match=r'\(64, 8\)'):
            openai_clip.timm_name(state)
        return
    with torch.device('meta'):
        model = timm.create_model(openai_clip.timm_name(state))
    assert (model.embed_dim, model.patch_embed.patch_size[0]) == (width, patch)
    assert model.norm_pre.eps == 1e-5


def test_a_projection_of_a_layer_that_is_missing_is_named():
    projections = [f'vision_model.encoder.layers.0.self_attn.{letter}_proj.weight' for letter in 'qk']
    state = dict.fromkeys(projections, torch.ones(4, 4))
    with pytest.raises(ValueError, match=r'encoder\.layers\.0\.self_attn\.v_proj\.weight'):
        openai_clip.convert({'vision_model.embeddings.class_embedding': torch.ones(4), **state})


def test_positions_that_cannot_be_resized():
    state = eva_layout(1)
    with pytest.raises(ValueError, match='57 is not a multiple of the patch size 14'):
        resize_positions(state, 57)
    with pytest.raises(ValueError, match='no patch_embed'):
        resize_positions({'pos_embed': state['pos_embed']}, 56)
    assert torch.equal(resize_positions(state, 56)['pos_embed'], state['pos_embed'])
