"""Hugging Face's BLIP-2 against ours with its weights: the same logits, and the way back."""

import pytest
import torch
from small_blip2 import IMAGE, C, batch, build, eva_vit, hf_logits, hf_model, load, our_logits, randomise

from stgt_mm.converters import hf_blip2
from stgt_mm.converters.hf_folder import write_folder
from stgt_mm.converters.position import resize_positions
from stgt_mm.io.weight_files import read_state

transformers = pytest.importorskip('transformers')


@pytest.fixture(scope='module')
def theirs():
    return hf_model()


@pytest.fixture(scope='module')
def ours(theirs):
    model = build()
    converted = hf_blip2.convert(theirs.state_dict())
    missing = load(model, converted)
    assert converted.unknown == []
    assert all(key.startswith('qformer.causal_head.') or key == 'contrastive_head.temp' for key in missing)
    return model


def close(ours, theirs, atol=1e-4):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def test_same_logits(ours, theirs):
    itc, itm = our_logits(ours, *batch())
    their_itc, their_itm = hf_logits(theirs, *batch())
    close(itc, their_itc)
    close(itm, their_itm)
    assert itc.std() > 0.05 and itm.std() > 0.05  # equal because they are the same, not because they are flat


def test_padding_changes_nothing(ours):
    pixels, ids, mask = batch()
    longer = torch.nn.functional.pad(ids, (0, 6), value=7), torch.nn.functional.pad(mask, (0, 6))
    for short, padded in zip(our_logits(ours, pixels, ids, mask), our_logits(ours, pixels, *longer)):
        close(padded, short, atol=1e-5)


def test_a_wrong_layer_is_seen(ours, theirs):
    """The comparison notices a single key that went to the wrong place."""
    swapped = build()
    state = ours.state_dict()
    names = ['qformer.layers.1.text_ffn.up.weight', 'qformer.layers.2.text_ffn.up.weight']
    swapped.load_state_dict({**state, names[0]: state[names[1]], names[1]: state[names[0]]})
    itc, _ = our_logits(swapped, *batch())
    assert (itc - hf_logits(theirs, *batch())[0]).abs().max() > 1e-3


@pytest.mark.parametrize('image', [IMAGE, 84])
@torch.no_grad()
def test_vision_tokens(theirs, image):
    """Hugging Face's vision model and timm's ViT-g at reduced width, also at another image size."""
    vision = transformers.Blip2VisionModel(theirs.config.vision_config).eval()
    randomise(vision)
    converted = hf_blip2.convert(vision.state_dict())
    if image != IMAGE:
        converted = resize_positions(converted, image, prefix='backbone.vit.')
    backbone = eva_vit(image)
    vit = {key.removeprefix('backbone.'): value for key, value in converted.items() if key.startswith('back')}
    backbone.load_state_dict(vit, strict=True)
    norm = torch.nn.LayerNorm(C, eps=1e-6)
    norm.load_state_dict({part: converted[f'vision_norm.{part}'] for part in ('weight', 'bias')})
    pixels = torch.randn(2, 3, image, image)
    wanted = vision(pixel_values=pixels, interpolate_pos_encoding=image != IMAGE).last_hidden_state
    close(norm(backbone(pixels[:, None])[:, 0]), wanted)


@torch.no_grad()
def test_vision_model_and_back(theirs):
    """Our ViT-g opens as ``Blip2VisionModel``: the same tokens; its own keys come back."""
    model = randomise(build()).eval()
    back = hf_blip2.revert_vision_model(model.state_dict())
    vision = transformers.Blip2VisionModel(theirs.config.vision_config).eval()
    vision.load_state_dict(back, strict=True)
    pixels = torch.randn(2, 3, IMAGE, IMAGE)
    tokens = model.vision_norm(model.backbone(pixels[:, None])[:, 0])
    close(tokens, vision(pixel_values=pixels).last_hidden_state)
    again = hf_blip2.convert(back)
    wanted = {
        key: value
        for key, value in model.state_dict().items()
        if key.startswith(('backbone.vit.', 'vision_norm.'))
    }
    assert again.keys() == wanted.keys() and again.unknown == []
    assert all(torch.equal(again[key], value) for key, value in wanted.items())
    assert {key for keys in again.origin.values() for key in keys} == back.keys()


def test_no_vision_model_without_its_parts():
    state = build().state_dict()
    with pytest.raises(ValueError, match='vision_norm'):
        hf_blip2.revert_vision_model({k: v for k, v in state.items() if not k.startswith('vision_norm.')})
    with pytest.raises(ValueError, match='no EVA ViT'):
        hf_blip2.revert_vision_model({k: v for k, v in state.items() if 'q_bias' not in k})


def test_back_to_their_names(ours, theirs):
    """Their names, shapes and values come back; the bias of the keys, which changes nothing, is 0."""
    state = ours.state_dict()
    back = hf_blip2.revert(state)
    wanted = theirs.state_dict()
    own = {key for key in back if key.startswith('causal_head.') or key == 'temp'}
    assert back.keys() - own == wanted.keys()
    for key, value in wanted.items():
        if key.endswith('qkv.bias'):
            value = torch.cat([value[:C], torch.zeros(C), value[2 * C :]])
        assert torch.equal(back[key], value), key
    again = hf_blip2.convert(back)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)


def test_folder_opens_in_transformers(ours, tmp_path):
    assert write_folder(ours, tmp_path / 'out', shard_size='100KB') == []
    assert len(list((tmp_path / 'out').glob('*.safetensors'))) > 1
    opened = transformers.Blip2ForImageTextRetrieval.from_pretrained(tmp_path / 'out').eval()
    for own, their in zip(our_logits(ours, *batch()), hf_logits(opened, *batch())):
        close(own, their)
    model = build()
    model.load_state_dict(hf_blip2.convert(read_state(tmp_path / 'out')), strict=True)
    for first, second in zip(our_logits(model, *batch()), our_logits(ours, *batch())):
        assert torch.equal(first, second)


@torch.no_grad()
def test_folder_of_a_model_with_neck_comes_back(tmp_path):
    neck = {'type': 'STGT', 'embed_dims': C, 'num_heads': 4, 'num_frames': 2, 'grid_size': IMAGE // 14}
    model = randomise(build(neck=neck)).eval()
    reasons = write_folder(model, tmp_path / 'out')
    assert reasons == ['it has a neck']
    again = build(neck=neck)
    again.load_state_dict(hf_blip2.convert(read_state(tmp_path / 'out')), strict=True)
    video = torch.randn(2, 2, 3, IMAGE, IMAGE)
    for first, second in zip(model.encode_video({'video': video}), again.encode_video({'video': video})):
        assert torch.equal(first, second)


def test_a_folder_with_files_is_left_alone(ours, tmp_path):
    (tmp_path / 'keep.txt').write_text('mine')
    with pytest.raises(ValueError, match='not empty'):
        write_folder(ours, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ['keep.txt']
