"""The attention backend ``flex`` against ``dense``.

Sizes and gradients go through FlexAttention's reference, which is not compiled; one case is compiled for the
CPU. There is no compiled gradient on a CPU: ``gpu_proof.sh --part flex`` compares it on a card.
"""

import shutil

import pytest
import torch
from torch.nn.attention import flex_attention as torch_flex

from stgt_mm.functional.graph import banded_graph
from stgt_mm.models.layers import SpatioTemporalGraphAttention, flex
from stgt_mm.models.necks import STGT

C, H = 12, 3


def make(backend, dtype, **settings):
    torch.manual_seed(1)
    return SpatioTemporalGraphAttention(C, H, attn_drop=0.0, backend=backend, **settings).to(dtype).train()


@pytest.fixture
def reference(monkeypatch):
    """FlexAttention's own equations for forward and backward, which its front door refuses on a CPU."""
    flex._block_mask.cache_clear()
    monkeypatch.setattr(flex, '_fused', flex._attend)
    monkeypatch.setattr(flex, 'WITHOUT_GRADIENT', ())
    monkeypatch.setattr(torch_flex, '_validate_device', lambda *_: None)
    monkeypatch.setattr(torch_flex, '_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG', True)


@pytest.mark.parametrize('dtype,close', [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str)
@pytest.mark.parametrize(
    'frames,nodes,settings',
    [
        (4, 3, {}),
        (1, 4, {}),  # an image
        (8, 32, {}),  # 256: a multiple of the tile, no padding
        (8, 25, {}),  # 200: some frames in two tiles
        (3, 2, {'similarity_threshold': -1.0}),
        (5, 3, {'similarity_threshold': 0.9, 'band': 2}),
        (4, 3, {'band': 0}),
        (2, 3, {'band': 3}),
        (4, 3, {'use_edge_weights': False}),
        (4, 3, {'use_adjacency': False}),
        (4, 3, {'use_adjacency': False, 'use_edge_weights': False}),
    ],
    ids=str,
)
def test_output_and_gradients_are_those_of_dense(frames, nodes, settings, dtype, close, reference):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, frames * nodes, C, dtype=dtype, generator=generator)
    x[0, 0] = 0
    grad = torch.randn(x.shape, dtype=dtype, generator=generator)
    found = []
    for backend in ('dense', 'flex'):
        module, leaf = make(backend, dtype, **settings), x.clone().requires_grad_()
        with torch.inference_mode():
            module(x, frames)  # what is kept of it must serve training
        out = module(leaf, frames)
        gradients = torch.autograd.grad(out, [leaf, *module.parameters()], grad)
        found.append([out, *gradients, module.graph_density])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=close, atol=close)


@pytest.mark.skipif(shutil.which('g++') is None, reason='no compiler')
def test_the_compiled_kernel_equals_dense_and_has_no_gradient_on_a_cpu():
    x = torch.randn(2, 8 * 25, C)
    with torch.no_grad():
        torch.testing.assert_close(make('flex', torch.float32)(x, 8), make('dense', torch.float32)(x, 8))
    with pytest.raises(ValueError, match="'flex' has no gradient on cpu"):
        make('flex', torch.float32)(x, 8)


def test_half_precision_keeps_the_links_of_float32(reference):
    x = torch.randn(2, 12, C)
    exact = make('dense', torch.float32)(x, 3)
    module = make('flex', torch.float32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = module(x.requires_grad_(), 3)
    assert mixed.dtype == torch.bfloat16 and torch.allclose(mixed.float(), exact, atol=0.03)
    mixed.float().sum().backward()
    assert x.grad.isfinite().all()
    graphs = banded_graph(x, 3, 0.1)
    whole, half = (flex.pack_band(graphs, 1, True, dtype) for dtype in (torch.float32, torch.bfloat16))
    assert torch.equal(whole == flex.NOT_LINKED, half == flex.NOT_LINKED) and (half[:, :12] == 2).any()


def test_the_stored_band_is_all_that_is_kept_of_the_weights():
    """At batch 20, 8 frames of 256 tokens: 63 MB in bfloat16, where all pairs would be 168 MB."""
    graphs = banded_graph(torch.empty(20, 8 * 256, 16, device='meta'), 8, 0.1)
    stored = flex.pack_band(graphs, 1, True, torch.bfloat16)
    assert stored.shape == (20, 8 * 256, 3 * 256) and stored.nbytes == 62_914_560


def test_the_log_says_once_that_there_is_no_dropout(monkeypatch):
    told = []
    monkeypatch.setattr('stgt_mm.models.necks.stgt.print_log', lambda text, **_: told.append(text))
    neck = STGT(C, H, grid_size=2, num_layers=2, attention_backend='flex', attn_drop=0.25)
    STGT(C, H, grid_size=2, attention_backend='flex', attn_drop=0.0)
    assert len(told) == 1 and 'no dropout: attn_drop=0.25 is' in told[0]
    assert {block.graph_attention.attn_drop for block in neck.blocks} == {0.0}
