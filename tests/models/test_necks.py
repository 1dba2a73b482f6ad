import pytest
import torch

from stgt_mm.models.layers import TransformerBlock
from stgt_mm.models.necks import STGT, CrossFrameNeck, MeanPoolNeck
from stgt_mm.models.necks.stgt_block import STGTBlock

C, H = 16, 4


def test_parameters_at_full_size_are_those_of_table_6():
    with torch.device('meta'):
        neck = STGT(1408, 16)
    assert sum(p.numel() for p in neck.parameters()) == 59_531_648


@pytest.mark.parametrize('grid', [4, (2, 5)])
@pytest.mark.parametrize('frames', [1, 3, 8, 11])
def test_token_count_and_grid(grid, frames):
    neck = STGT(C, H, grid_size=grid).eval()
    rows, columns = neck.grid_size
    out = neck(torch.randn(2, frames, 1 + rows * columns, C))
    wanted = 1 + rows * columns if frames == 1 else frames * (1 + rows + columns)
    assert out.shape == (2, wanted, C) and neck.num_tokens(frames) == wanted


def test_pooling_takes_maxima_over_rows_then_columns():
    neck = STGT(C, H, grid_size=(2, 3))
    x = torch.randn(1, 2, 7, C)
    pooled = neck._pool(x)
    for t in range(2):
        frame, patches = pooled[0, t * 6 : (t + 1) * 6], x[0, t, 1:]
        assert torch.equal(frame[0], x[0, t, 0])
        for c in range(3):
            assert torch.equal(frame[1 + c], torch.maximum(patches[c], patches[3 + c]))
        for r in range(2):
            assert torch.equal(frame[4 + r], patches[3 * r : 3 * r + 3].amax(0))


@pytest.mark.parametrize(
    'option,value',
    [
        ('global_passes', 1),
        ('use_adjacency', False),
        ('use_edge_weights', False),
        ('band', 2),
        ('graph_residual', True),
        ('test_similarity_threshold', 0.99),
        ('num_layers', 2),
        ('temporal_init_std', 1.0),
    ],
)
def test_every_option_changes_the_output(option, value):
    tokens = torch.randn(1, 8, 10, C, generator=torch.Generator().manual_seed(0))
    outputs = []
    for options in ({}, {option: value}):
        torch.manual_seed(0)
        neck = STGT(C, H, grid_size=3, **{'test_similarity_threshold': 0.0} | options).eval()
        with torch.no_grad():
            for parameter in neck.blocks.parameters():
                parameter.mul_(20 if parameter.ndim > 1 else 1)
        outputs.append(neck(tokens))
    assert not torch.allclose(*outputs, atol=1e-4)


def test_the_residual_adds_to_each_patch_what_the_graph_read_and_is_off_by_default():
    tokens = torch.randn(2, 3, 10, C)
    plain, off, residual = (
        STGTBlock(C, H, attn_drop=0.0, **options).eval()
        for options in ({}, {'graph_residual': False}, {'graph_residual': True})
    )
    for block in (off, residual):
        block.load_state_dict(plain.state_dict())
    seen = []
    for block in (plain, off, residual):
        block.fusion_block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        block(tokens)
    before = plain.in_proj(tokens)[:, :, 1:].flatten(1, 2)
    local = plain.graph_attention(before, 3)
    assert torch.equal(seen[0], seen[1]) and torch.equal(seen[1][:, 0], seen[2][:, 0])
    assert torch.equal(seen[1][:, 1:].flatten(), local.flatten())
    assert torch.equal(seen[2][:, 1:].flatten(), (before + local).flatten())


def test_training_options_act_in_training_only():
    tokens = torch.randn(4, 8, 10, C)
    for options in ({'drop_path': 0.5, 'attn_drop': 0.0}, {'attn_drop': 0.5}):
        neck = STGT(C, H, grid_size=3, test_similarity_threshold=None, **options)
        assert not torch.equal(neck(tokens), neck(tokens))
        density = neck.statistics()['graph_density']
        assert 0 < density <= 1 and not density.requires_grad
        neck.eval()
        assert torch.equal(neck(tokens), neck(tokens))


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    out = TransformerBlock(3, 1, drop_path=0.25).drop_path(torch.ones(4000, 2, 3))
    assert torch.equal(out.amin((1, 2)), out.amax((1, 2)))
    assert set(out.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs(out.mean() - 1) < 0.03


def test_temporal_resize_mode_is_used():
    torch.manual_seed(0)
    tokens = torch.randn(1, 6, 10, C)
    necks = [
        STGT(C, H, grid_size=3, temporal_init_std=1.0, temporal_resize=m).eval()
        for m in ('linear', 'nearest')
    ]
    necks[1].load_state_dict(necks[0].state_dict())
    assert not torch.allclose(necks[0](tokens), necks[1](tokens))


def test_every_parameter_of_the_trained_necks_gets_a_gradient():
    for neck in (STGT(C, H, grid_size=3), CrossFrameNeck(C, H)):
        neck(torch.randn(2, 4, 10, C)).square().mean().backward()
        assert [n for n, p in neck.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_mean_pool_is_bitwise_blind_to_order():
    tokens = torch.randn(2, 8, 10, C) * torch.logspace(-6, 6, 8)[:, None, None]
    neck = MeanPoolNeck(C)
    assert torch.allclose(neck(tokens), tokens.mean(1))
    for _ in range(5):
        assert torch.equal(neck(tokens), neck(tokens[:, torch.randperm(8)]))


@pytest.mark.parametrize('kind', [STGT, CrossFrameNeck])
def test_the_temporal_embedding_is_what_tells_the_order(kind):
    torch.manual_seed(0)
    tokens = torch.randn(2, 8, 10, C)
    neck = kind(C, H, temporal_init_std=1.0, **{'grid_size': 3} if kind is STGT else {}).eval()

    def difference():
        forth, back = neck(tokens), neck(tokens.flip(1))
        if kind is STGT:  # its tokens stand frame by frame: compared are those of the same frame
            back = back.unflatten(1, (8, -1)).flip(1).flatten(1, 2)
        return (forth - back).abs().max()

    assert difference() > 5e-4
    embedding = neck.temporal_embed if kind is STGT else neck.integration.temporal_embed
    torch.nn.init.zeros_(embedding)
    assert difference() < 1e-5


def test_cross_frame_equals_its_steps():
    neck = CrossFrameNeck(C, H, num_frames=3).double().eval()
    tokens = torch.randn(2, 3, 5, C, dtype=torch.float64)
    block, wanted = neck.blocks[0], []
    for clip in tokens:
        message = block.message_fc(clip[:, 0])
        message = message + block.message_attn(block.message_norm(message)[None])[0]
        frames = [
            block.frame_block(torch.cat([clip[t], (neck.video_token + message[t])[None]])[None])[0]
            for t in range(3)
        ]
        video = torch.stack([neck.norm(f[-1]) @ neck.proj for f in frames])
        integrated = neck.integration.blocks((video + neck.integration.temporal_embed)[None])[0]
        mean = sum(f[:-1] for f in frames) / 3
        wanted.append(torch.cat([mean, (video + integrated).mean(0)[None]]))
    out = neck(tokens)
    assert out.shape == (2, 6, C)
    assert torch.allclose(out, torch.stack(wanted))


def test_tokens_that_do_not_fit_are_refused_with_their_shape():
    for neck in (STGT(C, H, grid_size=4), CrossFrameNeck(8, 2), MeanPoolNeck(8)):
        with pytest.raises(ValueError, match=r'\[2, 8, 10, 16\]'):
            neck(torch.zeros(2, 8, 10, C))
