import pytest
import torch
from torch import nn

from stgt_mm.functional.graph import dense_graph
from stgt_mm.models.necks import STGT
from stgt_mm.visualization.token_view import token_attention, view_pooling, view_tokens

FRAMES, GRID = 4, (2, 3)
ALL = FRAMES * GRID[0] * GRID[1]


class Encoder(nn.Module):
    """What the pictures read of a VideoEncoder."""

    def __init__(self, **changes):
        super().__init__()
        torch.manual_seed(0)
        options = dict(num_heads=2, num_frames=FRAMES, num_layers=2, test_similarity_threshold=0.2)
        self.neck = STGT(16, grid_size=GRID, init_std=0.25, **{**options, **changes})

    def pool_frames(self, inputs):
        return self.neck(inputs['tokens'])


def some_tokens(frames=FRAMES):
    return {
        'tokens': torch.randn(
            1, frames, 1 + GRID[0] * GRID[1], 16, generator=torch.Generator().manual_seed(1)
        )
    }


@pytest.fixture
def seen():
    """What goes into a module and comes out of it."""
    found = {}

    def watch(name, module):
        return module.register_forward_hook(
            lambda _, given, out: found.update({name: (given[0].detach(), out)})
        )

    found['watch'] = watch
    return found


@pytest.mark.parametrize('layer', [0, 1])
@pytest.mark.parametrize(
    'changes', [{}, {'use_edge_weights': False}, {'use_adjacency': False}, {'band': 0}], ids=str
)
def test_links_and_attention_are_those_of_the_layer(layer, changes, seen):
    model = Encoder(**changes)
    graph = model.neck.blocks[layer].graph_attention
    seen['watch']('graph', graph)
    view = view_tokens(model, some_tokens(), [(1, 1, 2)], layer=layer)[0]
    x, out = seen['graph']
    place = 1 * 6 + 1 * 3 + 2
    links = dense_graph(x, FRAMES, 0.2 if graph.use_adjacency else None, graph.band)
    assert torch.equal(view.similarity.flatten(), links.weights[0, place])
    expected = torch.ones(ALL, dtype=torch.bool) if links.linked is None else links.linked[0, place]
    assert torch.equal(view.linked.flatten(), expected)
    assert 1 < expected.sum() < ALL or 'use_adjacency' in changes, 'there are links and others'
    assert view.window == {0: (1, 2), 1: (0, 3), None: (0, 4)}[graph.band if graph.use_adjacency else None]
    # the layer's own output of the token follows from the attention
    weights = links.weights[0, place] if graph.use_edge_weights else None
    probabilities = token_attention(graph, x, place, weights, expected)
    values = graph.W_V(x).unflatten(-1, (2, -1))
    read = torch.einsum('bhn,bnhd->bhd', probabilities, values).flatten(1)
    torch.testing.assert_close(graph.W_O(read), out[:, place])
    torch.testing.assert_close(view.attention.flatten(), probabilities[0].mean(0))
    assert not view.attention[~view.linked].any() and not torch.equal(view.attention, view.without_graph)


def test_another_threshold_is_looked_at_and_put_back(seen):
    model = Encoder()
    blocks = model.neck.blocks
    seen['watch']('graph', blocks[1].graph_attention)
    fused = blocks[1].fusion_block.attn.fused_attn
    high, low = (view_tokens(model, some_tokens(), [(2, 0, 0)], h, layer=1)[0] for h in (0.6, -0.5))
    assert high.threshold == 0.6 and high.linked.sum() < low.linked.sum()
    assert torch.equal(low.linked, dense_graph(seen['graph'][0], FRAMES, -0.5).linked[0, 12].reshape(4, 2, 3))
    assert {block.graph_attention.test_similarity_threshold for block in blocks} == {0.2}
    assert blocks[1].fusion_block.attn.fused_attn is fused and model.training
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_attention_of_cls_is_that_of_the_fusion(seen):
    model = Encoder()
    attn = model.neck.blocks[0].fusion_block.attn
    seen['watch']('fusion', attn)
    cls = view_tokens(model, some_tokens(), [(0, 0, 0)])[0].cls
    q, k, _ = attn.qkv(seen['fusion'][0]).unflatten(-1, (3, 2, 8)).unbind(2)
    expected = (torch.einsum('thd,tnhd->thn', q[:, 0], k) * 8**-0.5).softmax(-1).mean(1)[:, 1:]
    torch.testing.assert_close(cls, expected.detach().unflatten(1, GRID))


def test_pooling_is_counted_where_the_largest_value_is(seen):
    model = Encoder()
    seen['watch']('last', model.neck.blocks[-1])
    found = view_pooling(model, some_tokens())
    patches = seen['last'][1][0, :, 1:].unflatten(1, GRID)
    columns, rows = torch.zeros(FRAMES, *GRID), torch.zeros(FRAMES, *GRID)
    for frame in range(FRAMES):
        for channel in range(16):
            picture = patches[frame, :, :, channel]
            for column in range(3):
                columns[frame, picture[:, column].argmax(), column] += 1 / 16
            for row in range(2):
                rows[frame, row, picture[row].argmax()] += 1 / 16
    torch.testing.assert_close(found.columns, columns)
    torch.testing.assert_close(found.rows, rows)


def test_what_is_not_there_is_an_error():
    model = Encoder()
    with pytest.raises(ValueError, match=r'no token \(4, 0, 0\): frames, rows and columns are \(4, 2, 3\)'):
        view_tokens(model, some_tokens(), [(4, 0, 0)])
    with pytest.raises(ValueError, match='layer 2: the neck has 2'):
        view_tokens(model, some_tokens(), [(0, 0, 0)], layer=2)
    with pytest.raises(ValueError, match=r'outside \[-1, 1\)'):
        view_tokens(model, some_tokens(), [(0, 0, 0)], 1.5)
    with pytest.raises(ValueError, match='use_adjacency=False'):
        view_tokens(Encoder(use_adjacency=False), some_tokens(), [(0, 0, 0)], 0.5)
    with pytest.raises(ValueError, match='one frame keeps all its tokens'):
        view_pooling(model, some_tokens(1))
    model.neck = nn.Identity()
    with pytest.raises(ValueError, match='is a Identity'):
        view_pooling(model, some_tokens())
