import pytest
import torch
from safetensors.torch import save_file

from stgt_mm.models import GroupedViT, TimmViT
from stgt_mm.models.layers import GroupingBlock

SIZES = dict(model_name='vit_tiny_patch16_224', img_size=16, patch_size=8, embed_dim=16, num_heads=2, depth=2)
APART = dict(attention='frame', group_tokens_in_attention=False)


def grouped(**kwargs):
    torch.manual_seed(0)
    options = {**SIZES, 'tubelet': 1, 'num_frames': 4, 'num_groups': 3, 'group_after': (1, 2), **kwargs}
    return GroupedViT(**options)


def image_weights(path, final_norm=True):
    torch.manual_seed(1)
    vit = TimmViT(**SIZES, final_norm=final_norm)
    save_file(vit.vit.state_dict(), path)
    return vit


@pytest.mark.parametrize('final_norm', [False, True])
def test_image_weights_at_tubelet_1_give_the_patches_of_timm_vit(tmp_path, final_norm):
    vit = image_weights(tmp_path / 'vit.safetensors', final_norm)
    options = dict(checkpoint=str(tmp_path / 'vit.safetensors'), final_norm=final_norm, token_scale=0.5)
    video, own = torch.randn(2, 4, 3, 16, 16), grouped(**options, **APART)
    tokens = own(video)
    torch.testing.assert_close(tokens[:, :, 1:], 0.5 * vit(video)[:, :, 1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens[:, :, 0], tokens[:, :, 1:].mean(2))
    assert (own.embed_dims, own.grid_size, own.frozen) == (16, (2, 2), False)
    # one frame sees itself alone, however attention is spread over a clip
    picture = grouped(**options, group_tokens_in_attention=False)(video[:, :1])
    torch.testing.assert_close(picture, grouped(**options, **APART)(video[:, :1]), atol=1e-5, rtol=0)


@pytest.mark.parametrize('inflation', ['mean', 'centre'])
def test_a_still_tubelet_is_the_image(tmp_path, inflation):
    vit = image_weights(tmp_path / 'vit.safetensors')
    own = grouped(checkpoint=str(tmp_path / 'vit.safetensors'), tubelet=2, inflation=inflation, **APART)
    frames = torch.randn(1, 2, 3, 16, 16)
    still = own(frames.repeat_interleave(2, dim=1))
    assert still.shape == (1, 2, 5, 16)
    torch.testing.assert_close(still[:, :, 1:], vit(frames)[:, :, 1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(own(frames[:, :1])[:, 0], still[:, 0])  # a picture fills a tubelet
    if inflation == 'mean':
        swapped = own(frames)
        torch.testing.assert_close(swapped, own(frames.flip(1)))
    else:
        other = torch.stack([frames[:, 1], frames[:, 1]], dim=1)
        torch.testing.assert_close(own(frames), own(other), msg='the middle frame of two is the second')


@pytest.mark.parametrize(
    'options', [{}, APART, dict(assign='gumbel', cross_attention=True), dict(assign='soft')]
)
def test_groups_are_read_from_the_whole_clip_and_share_every_patch(options):
    vit = grouped(**options)
    found = vit.encode(torch.randn(2, 4, 3, 16, 16))
    assert found.tokens.shape == (2, 4, 5, 16) and found.groups.shape == (2, 3, 16)
    for assignment in found.assignments:
        assert assignment.shape == (2, 3, 16)
        torch.testing.assert_close(assignment.sum(1), torch.ones(2, 16))
    assert len(found.assignments) == 2


def test_all_weights_have_a_gradient_whatever_reads_the_tokens():
    vit = grouped()
    vit(torch.randn(2, 4, 3, 16, 16))[:, :, 1:].square().sum().backward()
    assert [name for name, p in vit.named_parameters() if p.grad is None] == []
    assert vit.grouping[0].assign_key.weight.grad.abs().sum() > 0, 'group tokens are in the attention'
    frozen = grouped(frozen=True).train()
    assert not frozen.training and not any(p.requires_grad for p in frozen.parameters())


def test_time_is_seen_through_the_embedding_and_other_lengths_resize_it():
    vit = grouped().eval()
    video = torch.randn(1, 4, 3, 16, 16)
    torch.testing.assert_close(vit(video).mean(1), vit(video.flip(1)).mean(1), atol=1e-5, rtol=0)
    torch.nn.init.normal_(vit.temporal_embed)
    assert (vit(video).mean(1) - vit(video.flip(1)).mean(1)).abs().max() > 1e-3
    assert vit(torch.randn(1, 8, 3, 16, 16)).shape == (1, 8, 5, 16)


@pytest.mark.parametrize('look', [False, True])
def test_a_grouping_block_equals_its_equation_in_float64(look):
    torch.manual_seed(0)
    block = GroupingBlock(8, 1, cross_attention=look).double()
    groups, tokens = torch.randn(1, 3, 8).double(), torch.randn(1, 5, 8).double()
    found, assignment = block(groups, tokens)
    x = block.norm_tokens(tokens)[0]
    g = groups[0]
    if look:
        part = block.look
        query = part.query(part.norm(g))
        attention = torch.stack([(query[m] @ part.key(x).T / 8**0.5).softmax(0) for m in range(3)])
        g = g + part.proj(attention @ part.value(x))
        g = g + part.mlp(part.norm_mlp(g))
    logits = block.assign_query(block.norm_assign(g)) @ block.assign_key(x).T / 8**0.5
    chosen = logits.argmax(0)
    rows = []
    for m in range(3):
        own = block.assign_value(x)[chosen == m]
        rows.append(own.sum(0) / (len(own) + 1))
    g = g + block.assign_proj(torch.stack(rows))
    torch.testing.assert_close(found[0], g + block.mlp_out(block.norm_out(g)))
    assert torch.equal(assignment[0].argmax(0), chosen)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(attention='frames'), "attention='frames'"),
        (dict(attention='frame'), 'group_tokens_in_attention=False'),
        (dict(inflation='sum'), "inflation='sum'"),
        (dict(tubelet=3), 'num_frames=4 is no multiple of tubelet=3'),
        (dict(group_after=()), 'at least one'),
        (dict(group_after=(2, 3)), 'has the blocks 1 to 2'),
        (dict(assign='hard'), "'hard'"),
        (dict(model_name='eva02_tiny_patch14_224', img_size=28, patch_size=14), 'no VisionTransformer'),
    ],
)
def test_what_cannot_be_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        grouped(**options)


def test_clips_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match='T a multiple of tubelet=2'):
        grouped(tubelet=2)(torch.randn(1, 3, 3, 16, 16))
    with pytest.raises(ValueError, match=r'\[B, T, 3, 16, 16\]'):
        grouped()(torch.randn(1, 4, 3, 8, 8))


def test_a_feature_cache_tells_apart_what_no_weight_shows():
    options = (
        dict(assign='soft'),
        dict(assign='kmeans'),
        dict(attention='frame', group_tokens_in_attention=False),
    )
    assert len({repr(grouped(**own)) for own in options}) == 3
