import pytest
import torch

from stgt_mm.functional.graph import (
    band_mask,
    banded_graph,
    check_threshold,
    dense_graph,
    frame_window,
    graph_density,
    split_frames,
)


def loop_graph(x, frames, threshold, band):
    """Weights and links of one clip [T*N, C] by loops in float64."""
    x = x.double()
    total = len(x)
    nodes = total // frames
    weights, linked = torch.zeros(total, total).double(), torch.zeros(total, total, dtype=torch.bool)
    for i in range(total):
        for j in range(total):
            length = x[i].norm() * x[j].norm()
            weights[i, j] = x[i] @ x[j] / length if length > 0 else 0.0
            near = abs(i // nodes - j // nodes) <= band
            linked[i, j] = i == j or (near and weights[i, j] >= threshold)
    return weights, linked


@pytest.mark.parametrize(
    'frames,band,threshold', [(4, 1, 0.1), (4, 2, 0.0), (1, 1, 0.5), (3, 0, -1), (5, 9, 0.9)]
)
def test_dense_and_banded_equal_the_loop(frames, band, threshold):
    torch.manual_seed(frames)
    nodes = 3
    x = torch.randn(2, frames * nodes, 6, dtype=torch.float64)
    x[0, 1] = 0
    dense = dense_graph(x, frames, threshold, band)
    banded = banded_graph(x, frames, threshold, band)
    for clip in range(2):
        weights, linked = loop_graph(x[clip], frames, threshold, band)
        assert torch.allclose(dense.weights[clip], weights)
        assert torch.equal(dense.linked[clip], linked)
        for t, (graph, part) in enumerate(zip(banded, split_frames(dense, frames, band), strict=True)):
            assert torch.equal(part.linked, graph.linked)
            first, stop = frame_window(t, frames, band)
            window = slice(t * nodes, (t + 1) * nodes), slice(first * nodes, stop * nodes)
            assert torch.allclose(graph.weights[clip], weights[window])
            assert torch.equal(graph.linked[clip], linked[window])
    inside = band_mask(frames, nodes, band)
    density = dense.linked[:, inside].float().mean()
    assert torch.allclose(graph_density(banded), density)


def test_a_token_keeps_itself_when_rounding_or_zero_would_drop_it():
    x = torch.randn(1, 200, 7)
    x[0, :3] = 0
    for graph in (dense_graph(x, 1, 0.9999999), banded_graph(x, 1, 0.9999999)[0]):
        assert graph.linked.diagonal(dim1=1, dim2=2).all()


def test_weights_are_float32_and_detached_whatever_the_tokens():
    x = torch.randn(1, 6, 8, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        graphs = [dense_graph(x, 2, 0.1), *banded_graph(x, 2, 0.1)]
    assert all(graph.weights.dtype == torch.float32 and not graph.weights.requires_grad for graph in graphs)
    exact = torch.nn.functional.normalize(x.detach().float(), dim=-1)
    assert torch.allclose(graphs[0].weights, exact @ exact.transpose(1, 2))


@pytest.mark.parametrize('threshold', [1, 1.5, -1.1, float('nan')])
def test_thresholds_without_meaning_are_refused_with_their_value(threshold):
    with pytest.raises(ValueError, match=str(threshold)):
        check_threshold(threshold)


def test_no_threshold_means_density_one():
    assert graph_density(banded_graph(torch.randn(1, 6, 4), 3, None)) == 1
