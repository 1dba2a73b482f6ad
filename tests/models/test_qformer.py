"""The four passes of the Q-Former: who sees whom, what is shared, what is trained."""

import pytest
import torch

from stgt_mm.models.qformer import QFormer, select_videos
from stgt_mm.registry import MODELS

V, K, M, C, Q, L, D, VOCAB = 3, 4, 7, 20, 5, 6, 16, 40


def build(**options):
    torch.manual_seed(0)
    sizes = {'vocab_size': VOCAB, 'width': D, 'depth': 3, 'num_heads': 4, 'num_queries': Q}
    settings = {**sizes, 'vision_width': C, 'max_positions': 12, 'init_std': 0.3}
    return QFormer(**{**settings, **options}).double().eval()


@pytest.fixture(params=['post', 'pre'])
def qformer(request):
    return build(norm=request.param, residual_gain=2.0 if request.param == 'pre' else 1.0)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(V, M, C, generator=generator, dtype=torch.float64)
    ids = torch.randint(0, VOCAB, (V, K, L), generator=generator)
    lengths = torch.randint(2, L + 1, (V, K, 1), generator=generator)
    return tokens, ids, torch.arange(L) < lengths


def passes(qformer, tokens, ids, mask):
    """The outputs of all passes; those of texts alone are of the first text of each video."""
    video = qformer.project_video(tokens)
    queries, cache = qformer.encode_video(video)
    first = ids[:, 0], mask[:, 0]
    outputs = {
        'queries': queries,
        'text': qformer.encode_text(*first),
        'fused': qformer.fuse(video, ids, mask),
    }
    return {**outputs, 'logits': qformer.decode(cache, *first)}


def close(a, b, tolerance=1e-10):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def test_shapes(qformer, batch):
    video = qformer.project_video(batch[0])
    cache = qformer.encode_video(video)[1]
    assert len(video) == 2 and all(x.shape == (V, 4, M, D // 4) for pair in video for x in pair)
    assert len(cache) == 3 and all(x.shape == (V, 4, Q, D // 4) for pair in cache for x in pair)
    shapes = {name: tuple(output.shape) for name, output in passes(qformer, *batch).items()}
    assert shapes == {
        'queries': (V, Q, D), 'text': (V, L, D), 'fused': (V, K, Q, D), 'logits': (V, L, VOCAB)
    }  # fmt: skip


def test_folded_texts_equal_one_text_with_repeated_tokens(qformer, batch):
    tokens, ids, mask = batch
    folded = qformer.fuse(qformer.project_video(tokens), ids, mask)
    repeated = qformer.project_video(tokens.repeat_interleave(K, dim=0))
    close(
        folded,
        qformer.fuse(repeated, ids.flatten(0, 1)[:, None], mask.flatten(0, 1)[:, None]).view(V, K, Q, D),
    )


def test_a_batch_of_one_equals_its_row_of_a_larger_one(qformer, batch):
    whole = passes(qformer, *batch)
    for name, one in passes(qformer, *(part[1:2] for part in batch)).items():
        close(one, whole[name][1:2])


def test_select_videos_equals_selecting_tokens(qformer, batch):
    tokens = batch[0]
    index = torch.tensor([2, 0, 2, 1])
    video = qformer.project_video(tokens)
    for wanted, given in [
        (index, index),
        (slice(1, 3), slice(1, 3)),
        (torch.tensor([0, 2]), tokens.new_tensor([1, 0, 1]).bool()),
    ]:
        close(
            qformer.encode_video(select_videos(video, given))[0],
            qformer.encode_video(qformer.project_video(tokens[wanted]))[0],
        )
    assert select_videos(video, slice(0, 2))[0][0].data_ptr() == video[0][0].data_ptr()


def test_padding_changes_nothing(qformer, batch):
    tokens, ids, mask = batch
    longer = torch.cat([ids.where(mask, ids + 1), torch.full((V, K, 4), 7)], dim=-1) % VOCAB
    longer_mask = torch.cat([mask, torch.zeros(V, K, 4, dtype=torch.bool)], dim=-1)
    assert (longer[..., :L] != ids).any()
    short, long = passes(qformer, tokens, ids, mask), passes(qformer, tokens, longer, longer_mask)
    close(long['fused'], short['fused'])
    for name in ('text', 'logits'):
        close(long[name][:, :L][mask[:, 0]], short[name][mask[:, 0]])


def test_encode_text_reads_both_ways_but_no_padding(qformer):
    ids = torch.randint(0, VOCAB, (1, L))
    states = qformer.encode_text(ids, torch.ones(1, L, dtype=torch.bool))
    ids[0, -1] = (ids[0, -1] + 1) % VOCAB
    moved = (qformer.encode_text(ids, torch.ones(1, L, dtype=torch.bool)) - states).abs().amax(-1)[0]
    assert (moved > 1e-6).all()


def test_decode_sees_queries_and_the_past_only(qformer, batch):
    tokens, ids, _ = batch
    ids, mask = ids[:, 0], torch.ones(V, L, dtype=torch.bool)
    cache = qformer.encode_video(qformer.project_video(tokens))[1]
    logits = qformer.decode(cache, ids, mask)
    for position in range(1, L):
        changed = ids.clone()
        changed[:, position] = (changed[:, position] + 1) % VOCAB
        moved = (qformer.decode(cache, changed, mask) - logits).abs().amax(dim=(0, 2))
        assert (moved[:position] == 0).all() and (moved[position:] > 1e-6).all()
    other = qformer.encode_video(qformer.project_video(tokens.flip(1) + 1))[1]
    assert ((qformer.decode(other, ids, mask) - logits).abs().amax(dim=(0, 2)) > 1e-6).all()


def test_decode_step_by_step_equals_decode_at_once(qformer, batch):
    tokens, ids, mask = batch
    cache = qformer.encode_video(qformer.project_video(tokens))[1]
    whole = qformer.decode(cache, ids[:, 0], torch.ones_like(mask[:, 0]))
    for length in range(1, L + 1):
        part = qformer.decode(cache, ids[:, 0, :length], torch.ones(V, length, dtype=torch.bool))
        close(part[:, -1], whole[:, length - 1])
    for position in range(L):  # the same without what is known, also of rows that change places
        logits, cache = qformer.decode_next(cache, ids[:, 0, position])
        close(logits, whole[:, position])
        order = torch.arange(V).roll(1)
        cache, ids, whole = select_videos(cache, order), ids[order], whole[order]


def test_fused_queries_depend_on_text_and_on_the_right_video(qformer, batch):
    tokens, ids, mask = batch
    fused = qformer.fuse(qformer.project_video(tokens), ids, mask)
    text = ids.clone()
    text[1, 2, 0] = (text[1, 2, 0] + 1) % VOCAB
    moved = (qformer.fuse(qformer.project_video(tokens), text, mask) - fused).abs().amax(dim=(2, 3))
    assert moved[1, 2] > 1e-6 and moved.count_nonzero() == 1
    video = tokens.clone()
    video[1] += 1
    moved = (qformer.fuse(qformer.project_video(video), ids, mask) - fused).abs().amax(dim=(2, 3))
    assert (moved[1] > 1e-6).all() and (moved[[0, 2]] == 0).all()


def test_skipping_padding_without_gradient_changes_nothing(qformer, batch):
    tokens, ids, mask = batch
    mask[0, 1] = False
    video = qformer.project_video(tokens)
    with torch.no_grad():
        skipped = qformer.fuse(video, ids, mask)
    close(skipped, qformer.fuse(video, ids, mask))


def test_a_row_without_text_is_the_queries_alone(qformer, batch):
    tokens, ids, mask = batch
    video = qformer.project_video(tokens)
    nothing = qformer.fuse(video, ids, torch.zeros_like(mask))
    close(nothing, qformer.encode_video(video)[0][:, None].expand(-1, K, -1, -1))


def use_everything(qformer, tokens, ids, mask):
    outputs = passes(qformer, tokens, ids, mask)
    return sum((x[:, 0] if name == 'text' else x).square().mean() for name, x in outputs.items())


@pytest.mark.parametrize('depth', [1, 2, 3])
@pytest.mark.parametrize('norm', ['post', 'pre'])
def test_every_parameter_gets_a_gradient(batch, depth, norm):
    qformer = build(depth=depth, norm=norm, dropout=0.1).train()
    use_everything(qformer, *batch).backward()
    assert not [name for name, value in qformer.named_parameters() if value.grad is None]


def test_gradients_are_right(batch):
    """Against finite differences, along one random direction of all parameters and the tokens."""
    qformer = build(norm='pre', residual_gain=2.0)
    tokens, ids, mask = batch
    use_everything(qformer, tokens.requires_grad_(), ids, mask).backward()
    values = [*qformer.parameters(), tokens]
    generator = torch.Generator().manual_seed(2)
    steps = [torch.randn(v.shape, generator=generator, dtype=v.dtype) for v in values]
    slope = sum((v.grad * s).sum() for v, s in zip(values, steps))
    outputs = []
    with torch.no_grad():
        for size in (1e-6, -2e-6):
            for value, step in zip(values, steps):
                value += size * step
            outputs.append(use_everything(qformer, tokens, ids, mask))
    torch.testing.assert_close(slope, (outputs[0] - outputs[1]) / 2e-6, rtol=1e-5, atol=0)


def test_gain_scales_the_branches():
    """A layer of gain 2 equals one of gain 1 whose branches end in doubled Linears."""
    doubled, plain = build(norm='pre', residual_gain=2.0), build(norm='pre')
    for name, value in plain.named_parameters():
        if name.endswith(('attention.output.weight', 'attention.output.bias', 'down.weight', 'down.bias')):
            value.data *= 2
    ids, mask = torch.arange(L)[None], torch.ones(1, L, dtype=torch.bool)
    close(doubled.encode_text(ids, mask), plain.encode_text(ids, mask))
    assert (build(norm='pre').encode_text(ids, mask) - doubled.encode_text(ids, mask)).abs().max() > 1e-3


def test_dropout_works_in_training_only(batch):
    qformer = build(dropout=0.5)
    close(use_everything(qformer, *batch), use_everything(qformer, *batch))
    qformer.train()
    assert use_everything(qformer, *batch) != use_everything(qformer, *batch)
    still = build(dropout=0.0)
    close(use_everything(still.train(), *batch), use_everything(still.eval(), *batch))


def test_initial_values():
    qformer = QFormer(vocab_size=500, width=64, depth=2, num_heads=4, vision_width=48, query_init_std=0.5)
    assert abs(qformer.embeddings.queries.std().item() - 0.5) < 0.03
    assert abs(qformer.embeddings.words.weight.std().item() - 0.02) < 0.001
    for name, value in qformer.named_parameters():
        if name.endswith('weight') and value.dim() == 2:
            assert abs(value.std().item() - 0.02) < 0.002, name
        if name.endswith('bias'):
            assert not value.any(), name
    assert abs(build(init_std=0.1, width=64).layers[0].text_ffn.up.weight.std().item() - 0.1) < 0.005


def test_number_of_parameters_of_the_full_model():
    """With the neck (59.53 M), LayerNorm, projections and matching head it makes the 246.24 M of Table 6."""
    with torch.device('meta'):
        qformer = QFormer()
    assert sum(value.numel() for value in qformer.parameters()) == 186_307_387


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'width': 18}, 'multiple of num_heads'),
        ({'norm': 'middle'}, "'middle'"),
        ({'depth': 0}, 'at least 1'),
        ({'cross_attention_every': 0}, 'at least 1'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_wrong_inputs(batch):
    qformer, (tokens, ids, mask) = build(), batch
    video = qformer.project_video(tokens)
    with pytest.raises(ValueError, match=r'\(2, 4, 6\).*select_videos'):
        qformer.fuse(video, ids[:2], mask[:2])
    with pytest.raises(ValueError, match=r'13 tokens.*positions for 12'):
        qformer.encode_text(torch.zeros(1, 13, dtype=torch.long), torch.ones(1, 13, dtype=torch.bool))


def test_bfloat16_autocast(batch):
    tokens, ids, mask = batch
    qformer = build(init_std=0.02).float()
    exact = use_everything(qformer, tokens.float(), ids, mask)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rough = use_everything(qformer.train(), tokens.float(), ids, mask)
    assert rough.isfinite() and abs(rough / exact - 1) < 0.3


def test_registered_by_name():
    assert isinstance(
        MODELS.build({'type': 'QFormer', 'vocab_size': 9, 'width': 8, 'depth': 1, 'num_heads': 2}), QFormer
    )
