"""The released module's names, shapes and forward, written here from the equations in float64."""

import math

import pytest
import small_blip2
import torch
from lavis_layout import lavis_state

from stgt_mm.converters import lavis_blip2
from stgt_mm.converters.converted import strip_prefix
from stgt_mm.converters.released_stgt import convert
from stgt_mm.models.necks import STGT

C, H, T, GRID, THRESHOLD = 32, 4, 4, 3, 0.2


def released_state(seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = {'time_embed': (T, C), 'pos_2D_embed': (1 + GRID * GRID, C), 'proj': (C, C)}

    def linear(name, rows, columns):
        shapes[f'{name}.weight'] = (rows, columns)
        shapes[f'{name}.bias'] = (rows,)

    def norm(name):
        shapes[f'{name}.weight'] = shapes[f'{name}.bias'] = (C,)

    norm('ln_post')
    block = 'resblocks.0.'
    linear(block + 'proj_fc', C, C)
    for letter in 'QKVO':
        linear(f'{block}graphattn.W_{letter}', C, C)
    for part in (block, block + 'message_attn.'):
        shapes[part + 'attn.in_proj_weight'] = (3 * C, C)
        shapes[part + 'attn.in_proj_bias'] = (3 * C,)
        linear(part + 'attn.out_proj', C, C)
        norm(part + 'ln_1')
        norm(part + 'ln_2')
        linear(part + 'mlp.c_fc', 4 * C, C)
        linear(part + 'mlp.c_proj', C, 4 * C)
    draw = {key: torch.randn(shape, generator=generator) * 0.3 for key, shape in shapes.items()}
    return {f'graph_cross_model.{key}': value for key, value in draw.items()}


def layer_norm(x, w, name):
    centred = x - x.mean(-1, keepdim=True)
    return (
        centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w[name + '.weight']
        + w[name + '.bias']
    )


def linear(x, w, name):
    return x @ w[name + '.weight'].T + w[name + '.bias']


def block(x, w, part):
    """Pre-norm block over axis 0 of x [L, C]."""
    y = layer_norm(x, w, part + 'ln_1')
    q, k, v = (y @ w[part + 'attn.in_proj_weight'].T + w[part + 'attn.in_proj_bias']).split(C, -1)
    heads = []
    for s in (slice(h * C // H, (h + 1) * C // H) for h in range(H)):
        heads.append((q[:, s] @ k[:, s].T / math.sqrt(C // H)).softmax(-1) @ v[:, s])
    x = x + linear(torch.cat(heads, -1), w, part + 'attn.out_proj')
    y = linear(layer_norm(x, w, part + 'ln_2'), w, part + 'mlp.c_fc')
    return x + linear(y / (1 + (-1.702 * y).exp()), w, part + 'mlp.c_proj')


def graph(x, w):
    n = GRID * GRID
    q, k, v = (linear(x, w, f'resblocks.0.graphattn.W_{letter}') for letter in 'QKV')
    out = torch.zeros_like(x)
    for i in range(len(x)):
        near = [j for j in range(len(x)) if abs(i // n - j // n) <= 1]
        similarity = {j: (x[i] @ x[j] / x[i].norm() / x[j].norm()) for j in near}
        linked = [j for j in near if j == i or similarity[j] >= THRESHOLD]
        for s in (slice(h * C // H, (h + 1) * C // H) for h in range(H)):
            scores = torch.stack([q[i, s] @ k[j, s] / math.sqrt(C // H) * similarity[j] for j in linked])
            out[i, s] = scores.softmax(0) @ v[linked, s]
    return linear(out, w, 'resblocks.0.graphattn.W_O')


def released_forward(tokens, w):
    """Tokens [T, 1+N, C] of one clip -> [M, C]."""
    frames = len(tokens)
    x = linear(tokens + w['time_embed'][:frames, None] + w['pos_2D_embed'], w, 'resblocks.0.proj_fc')
    cls = x[:, 0]
    for _ in range(2):
        cls = block(cls, w, 'resblocks.0.message_attn.')
    local = graph(x[:, 1:].reshape(-1, C), w).view(frames, -1, C)
    parts = []
    for t in range(frames):
        y = block(torch.cat([cls[t : t + 1], local[t]]), w, 'resblocks.0.')
        patches = y[1:].view(GRID, GRID, C)
        parts += [y[:1], patches.amax(0), patches.amax(1)]
    return layer_norm(torch.cat(parts), w, 'ln_post') @ w['proj']


def neck(**kwargs):
    return STGT(C, H, num_frames=T, grid_size=GRID, test_similarity_threshold=THRESHOLD, **kwargs)


@pytest.mark.parametrize('backend', ['dense', 'banded'])
def test_released_weights_give_the_released_output(backend):
    state = released_state()
    model = neck(attention_backend=backend).double().eval()
    model.load_state_dict(strip_prefix(convert(state), 'neck.'), strict=True)
    tokens = torch.randn(2, T, 1 + GRID * GRID, C, dtype=torch.float64)
    weights = {key.removeprefix('graph_cross_model.'): value.double() for key, value in state.items()}
    wanted = torch.stack([released_forward(clip, weights) for clip in tokens])
    assert torch.allclose(model(tokens), wanted, rtol=0, atol=1e-9)


def test_every_key_of_the_neck_is_named_by_the_release():
    assert set(convert(released_state())) == {f'neck.{key}' for key in neck().state_dict()}


def test_unknown_keys_are_listed_and_a_file_without_neck_is_refused():
    state = released_state()
    bad = {'graph_cross_model.resblocks.0.extra': torch.zeros(1), 'other.x': torch.zeros(1)}
    converted = convert(state | bad)
    assert sorted(converted.unknown) == sorted(bad)
    assert converted.keys() == convert(state).keys()
    with pytest.raises(ValueError, match='graph_cross_model'):
        convert({'neck.proj': torch.zeros(1)})


def test_the_embedding_that_the_release_does_not_save_is_zero():
    """The runner of the release drops parameters without gradient; its noise has the mean 0."""
    state = released_state()
    del state['graph_cross_model.pos_2D_embed']
    converted = convert(state, grid_size=GRID)
    assert torch.equal(converted['neck.spatial_embed'], torch.zeros(1 + GRID**2, C))
    assert 'does not save' in converted.filled['neck.spatial_embed']
    assert convert(state)['neck.spatial_embed'].shape == (257, C)


def test_a_whole_checkpoint():
    """Top key 'model', no frozen backbone; what is not the neck is as LAVIS' converter has it."""
    lavis = lavis_state(small_blip2.hf_model(seed=6), small_blip2.D, small_blip2.VOCAB)
    trained = {key: value for key, value in lavis.items() if not key.startswith('visual_encoder.')}
    converted = convert({'model': trained | released_state(), 'epoch': 3})
    assert converted.unknown == []
    assert strip_prefix(converted, 'neck.').keys() == neck().state_dict().keys()
    rest = {key: value for key, value in converted.items() if not key.startswith('neck.')}
    wanted = lavis_blip2.convert(trained)
    assert rest.keys() == wanted.keys()
    assert all(torch.equal(rest[key], wanted[key]) for key in rest)
    model = small_blip2.build()
    missing = small_blip2.load(model, rest)
    assert missing and all(key.startswith('backbone.') for key in missing)
