import math

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from stgt_mm.functional.graph import banded_graph
from stgt_mm.models.layers import SpatioTemporalGraphAttention, banded_attention
from stgt_mm.models.layers.banded import chunk_elements

C, H = 12, 3
SETTINGS = [
    {},
    {'similarity_threshold': 0.0},
    {'similarity_threshold': 0.999},
    {'use_edge_weights': False},
    {'use_adjacency': False},
    {'use_adjacency': False, 'use_edge_weights': False},
    {'band': 2},
    {'band': 0},
]


def make(backend, settings, dtype=torch.float64):
    torch.manual_seed(1)
    return SpatioTemporalGraphAttention(C, H, attn_drop=0.0, backend=backend, **settings).to(dtype).train()


def loop(module, x, frames):
    """The equations element by element for one clip x [T*N, C]."""
    nodes, width = len(x) // frames, C // H
    fixed = x.detach()
    q, k, v = module.W_Q(x), module.W_K(x), module.W_V(x)
    rows = []
    for i in range(len(x)):
        pairs = []
        for j in range(len(x)):
            length = fixed[i].norm() * fixed[j].norm()
            cosine = float(fixed[i] @ fixed[j] / length) if length > 0 else 0.0
            near = abs(i // nodes - j // nodes) <= module.band
            if not module.use_adjacency or i == j or (near and cosine >= module.similarity_threshold):
                pairs.append((j, cosine if module.use_edge_weights else 1.0))
        heads = []
        for s in (slice(h * width, (h + 1) * width) for h in range(H)):
            scores = torch.stack([q[i, s] @ k[j, s] / math.sqrt(width) * w for j, w in pairs])
            heads.append(sum(p * v[j, s] for p, (j, _) in zip(scores.softmax(0), pairs)))
        rows.append(torch.cat(heads))
    return module.W_O(torch.stack(rows))


def outputs_and_gradients(function, module, x):
    x = x.clone().requires_grad_()
    out = function(x)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(3)).to(out.dtype)
    module.zero_grad()
    (out * upstream).sum().backward()
    return [out.detach(), x.grad, *(p.grad.clone() for p in module.parameters())]


@pytest.mark.parametrize('settings', SETTINGS, ids=str)
@pytest.mark.parametrize('frames,nodes,batch', [(4, 3, 2), (1, 4, 1), (2, 1, 1)])
def test_both_backends_equal_the_equations_with_gradients(settings, frames, nodes, batch):
    x = torch.randn(batch, frames * nodes, C, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x[0, 0] = 0
    reference = make('dense', settings)
    wanted = outputs_and_gradients(
        lambda y: torch.stack([loop(reference, c, frames) for c in y]), reference, x
    )
    for backend in ('dense', 'banded'):
        module = make(backend, settings)
        found = outputs_and_gradients(lambda y: module(y, frames), module, x)  # noqa: B023
        for a, b in zip(found, wanted):
            assert torch.allclose(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize('settings', SETTINGS, ids=str)
@pytest.mark.parametrize('chunk', [1, 200, *(chunk_elements(torch.device(kind)) for kind in ('cpu', 'cuda'))])
def test_backends_agree_in_float32_however_the_work_is_cut(settings, chunk, monkeypatch):
    monkeypatch.setattr('stgt_mm.models.layers.banded.chunk_elements', lambda device: chunk)
    x = torch.randn(3, 5 * 6, C, generator=torch.Generator().manual_seed(0))
    found = []
    for backend in ('dense', 'banded'):
        module = make(backend, settings, torch.float32)
        found.append(outputs_and_gradients(lambda y: module(y, 5), module, x))  # noqa: B023
        density = module.graph_density
        assert density.ndim == 0 and 0 < density <= 1
    for a, b in zip(*found):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-5)


def test_a_gpu_gets_one_chunk_a_frame_where_a_core_gets_hundreds():
    """At full size (16 heads, 8x256 tokens), batch 20 on the GPU; a CPU's chunks are what its caches hold."""
    calls = []

    class Count(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            calls[-1] += func is torch.ops.aten._softmax.default
            return func(*args, **(kwargs or {}))

    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        for device, batch in (('cuda', 20), ('cpu', 2)):
            calls.append(0)
            x = torch.empty(batch, 16, 8 * 256, 16, device=device)
            graphs = banded_graph(torch.empty(batch, 8 * 256, 16, device=device), 8, 0.1)
            with Count():
                banded_attention(x, x, x, graphs, band=1)
    assert calls == [8, 56]


@pytest.mark.parametrize('backend', ['dense', 'banded'])
@pytest.mark.parametrize('settings', SETTINGS, ids=str)
def test_density_lives_where_the_tokens_are(backend, settings):
    with torch.device('meta'):
        module = SpatioTemporalGraphAttention(C, H, attn_drop=0.0, backend=backend, **settings).train()
        assert module.graph_density is None
        module(torch.empty(2, 12, C), 3)
    density = module.graph_density
    assert density.device.type == 'meta' and density.shape == () and density.dtype == torch.float32


def test_banded_never_builds_the_whole_matrix():
    frames, nodes = 12, 16
    module = make('banded', {}, torch.float32)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest = max(largest, out.numel())
            return out

    x = torch.randn(1, frames * nodes, C, requires_grad=True)
    with Watch():
        module(x, frames).sum().backward()
    assert 0 < largest < (frames * nodes) ** 2 / 2


def test_a_token_without_neighbour_reads_itself_only():
    module = make('auto', {'similarity_threshold': 0.9})
    x = torch.eye(C, dtype=torch.float64)[None, :6]
    assert torch.allclose(module(x, 2), module.W_O(module.W_V(x)))


@pytest.mark.parametrize('backend', ['dense', 'banded'])
def test_bfloat16_and_autocast_keep_the_graph_of_float32(backend):
    x = torch.randn(2, 12, C)
    module = make(backend, {}, torch.float32)
    exact = module(x, 3)
    density = module.graph_density
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = module(x.requires_grad_(), 3)
    assert mixed.dtype == torch.bfloat16
    assert module.graph_density == density
    assert torch.allclose(mixed.float(), exact, atol=0.03)
    mixed.float().sum().backward()
    assert x.grad.isfinite().all()
    assert module.bfloat16()(x.detach().bfloat16(), 3).isfinite().all()


def test_threshold_and_density_follow_the_mode():
    module = SpatioTemporalGraphAttention(
        C, H, similarity_threshold=-1.0, test_similarity_threshold=0.9, attn_drop=0
    )
    x = torch.randn(1, 12, C)
    trained = module(x, 3)
    assert module.graph_density == 1
    assert not torch.allclose(trained, module.eval()(x, 3))
    assert module.graph_density == 1


def test_dropout_drops_the_share_and_its_gradient_fits():
    torch.manual_seed(0)
    q, k = (torch.randn(1, 2, 300, 4, dtype=torch.float64) for _ in range(2))
    v = torch.ones(1, 2, 300, 4, dtype=torch.float64)
    graphs = banded_graph(torch.randn(1, 300, 4, dtype=torch.float64), 3, None)
    out = banded_attention(q * 0, k, v, graphs, band=1, dropout=0.25)
    # With equal scores each output is the kept share of the weights over 0.75.
    assert abs(out.mean().item() - 1) < 0.01
    assert 0.005 < out.std().item() < 0.1

    def attend(*qkv):
        torch.manual_seed(5)
        return banded_attention(*qkv, banded_graph(x, 3, 0.1), band=1, dropout=0.4)

    x = torch.randn(1, 6, 4, dtype=torch.float64)
    small = [torch.randn(1, 2, 6, 3, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(attend, small)


def test_bad_arguments_name_their_value():
    for kwargs, value in [({'backend': 'flax'}, 'flax'), ({'band': -1}, '-1'), ({'attn_drop': 1.0}, '1.0')]:
        with pytest.raises(ValueError, match=value):
            SpatioTemporalGraphAttention(C, H, **kwargs)
    with pytest.raises(ValueError, match='5'):
        SpatioTemporalGraphAttention(C, 5)
    with pytest.raises(ValueError, match='7 tokens'):
        SpatioTemporalGraphAttention(C, H)(torch.zeros(1, 7, C), 2)
