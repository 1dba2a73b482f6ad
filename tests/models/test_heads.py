import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn import functional as F

from stgt_mm.models.heads import CaptionHead, ContrastiveHead, MatchingHead, NegativeIndices
from stgt_mm.registry import MODELS


def head_and_embeddings(size=4, **kwargs):
    torch.manual_seed(0)
    head = ContrastiveHead(16, embed_dim=8, **kwargs).double()
    states = torch.randn(size, 3, 16, dtype=torch.float64), torch.randn(size, 5, 16, dtype=torch.float64)
    return head, head.project_queries(states[0]), head.project_text(states[1])


def names(size, prefix):
    return [f'{prefix}{i}' for i in range(size)]


def reference_contrast(head, queries, texts):
    """VTC and CSAL of a single process, pair by pair."""
    size, temperature = len(queries), head.temperature
    cosines = torch.stack([torch.stack([(q @ t).max() for t in texts]) for q in queries]) / temperature
    own = torch.arange(size)
    vtc = (
        F.cross_entropy(cosines, own, label_smoothing=0.1)
        + F.cross_entropy(cosines.T, own, label_smoothing=0.1)
    ) / 2
    clips = F.normalize(queries.mean(dim=1), dim=-1)
    product = (clips @ clips.T).clamp(min=0) * (texts @ texts.T).clamp(min=0)
    targets = torch.where(product < 0.05, -100.0, product).mul(5).softmax(dim=1).detach()
    csal = (
        F.cross_entropy(cosines, targets, label_smoothing=0.01)
        + F.cross_entropy(cosines.T, targets, label_smoothing=0.01)
    ) / 2
    return vtc, csal, targets


@pytest.mark.parametrize('alpha, keys', [(1, {'vtc'}), (0, {'csal'}), (0.25, {'vtc', 'csal'})])
def test_alpha_chooses_and_weighs_and_every_parameter_learns(alpha, keys):
    head, queries, texts = head_and_embeddings()
    head.alpha = alpha
    losses = head.loss(queries, texts, names(4, 'v'), names(4, 't')).losses
    assert {key for key in losses if 'loss' in key} == {f'loss_{key}' for key in keys}
    vtc, csal, targets = reference_contrast(head, queries, texts)
    for key, value, weight in (('loss_vtc', vtc, alpha), ('loss_csal', csal, 1 - alpha)):
        if key in losses:
            torch.testing.assert_close(losses[key], weight * value, rtol=0, atol=1e-9)
    if alpha < 1:
        torch.testing.assert_close(losses['target_diagonal'], targets.diagonal().mean())
    assert not losses['temperature'].requires_grad and losses['temperature'].item() == pytest.approx(0.07)
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_temperature_is_clamped_in_value_and_can_come_back():
    head, queries, texts = head_and_embeddings()
    for beyond, border in ((2.0, 0.5), (-1.0, 0.001)):
        with torch.no_grad():
            head.temp.fill_(beyond)
        assert head.temperature.item() == pytest.approx(border)
        head.zero_grad()
        head.temperature.backward()
        assert head.temp.grad.item() == 1
        head.loss(queries, texts, names(4, 'v'), names(4, 't'))
        assert head.temp.item() == pytest.approx(border)


def test_batch_of_one_and_batch_of_one_video():
    for size, videos in ((1, ['v']), (3, ['v'] * 3)):
        head, queries, texts = head_and_embeddings(size, alpha=0.5)
        contrast = head.loss(queries, texts, videos, names(size, 't'))
        sum(value for key, value in contrast.losses.items() if 'loss' in key).backward()
        assert all(torch.isfinite(value) for value in contrast.losses.values())
        assert all(torch.isfinite(p.grad).all() for p in head.parameters())
        assert contrast.related.all()
        matching = MatchingHead(16).double()
        negatives = matching.sample(contrast)
        scores = matching(torch.randn(3, size, 2, 16, dtype=torch.float64))
        out = matching.loss_from_logits(*scores, negatives)
        out['loss_vtm'].backward()
        assert out['loss_vtm'] == 0 and out['vtm_skipped'] == 1 and out['vtm_accuracy'] == 0
        assert all((p.grad == 0).all() for p in matching.parameters())


def test_duplicates_reach_the_contrastive_loss():
    head, queries, texts = head_and_embeddings(vtc={'type': 'VTC', 'duplicates': 'mask'})
    apart = head.loss(queries, texts, names(4, 'v'), names(4, 't')).losses['loss_vtc']
    same = head.loss(queries, texts, names(4, 'v'), ['t', 't', 'u', 'w']).losses['loss_vtc']
    assert same < apart


def test_bfloat16_autocast_gives_float32_losses():
    head = ContrastiveHead(16, embed_dim=8, alpha=0.5)
    states = torch.randn(4, 3, 16), torch.randn(4, 5, 16)
    with torch.autocast('cpu', torch.bfloat16):
        embeddings = head.project_queries(states[0]), head.project_text(states[1])
        losses = head.loss(*embeddings, names(4, 'v'), names(4, 't')).losses
    assert all(value.dtype == torch.float32 for value in losses.values())
    norms = torch.cat([embeddings[0].norm(dim=-1).flatten(), embeddings[1].norm(dim=-1)])
    torch.testing.assert_close(norms, torch.ones_like(norms), rtol=0, atol=1e-6)


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match=r'alpha must lie.*1\.5'):
        ContrastiveHead(16, alpha=1.5)
    with pytest.raises(ValueError, match=r'temperature must lie.*0\.7'):
        ContrastiveHead(16, temperature=0.7)
    with pytest.raises(ValueError, match=r'hard_fraction must lie.*-1'):
        MatchingHead(16, hard_fraction=-1)


def test_negatives_share_neither_video_nor_text():
    head, queries, texts = head_and_embeddings(6)
    videos, keys = ['a', 'a', 'b', 'c', 'd', 'e'], ['t', 'u', 'u', 'w', 'x', 'y']
    contrast = head.loss(queries, texts, videos, keys)
    matching = MatchingHead(16, hard_fraction=0.5)
    seen = set()
    for _ in range(50):
        negatives = matching.sample(contrast)
        assert negatives.valid_text.all() and negatives.valid_video.all()
        for chosen in (negatives.text_for_video, negatives.video_for_text):
            for i, j in enumerate(chosen.tolist()):
                assert videos[i] != videos[j] and keys[i] != keys[j]
                seen.add((i, j))
    assert len(seen) == 6 * 6 - 6 - 4  # every other pair was drawn


def test_hardest_text_and_hardest_video_are_drawn_from_their_own_direction():
    head, queries, texts = head_and_embeddings(5, temperature=0.001)
    contrast = head.loss(queries, texts, names(5, 'v'), names(5, 't'))
    negatives = MatchingHead(16).sample(contrast, noise=torch.full((2, 5, 5), 0.5))
    own = torch.eye(5, dtype=torch.bool)
    assert torch.equal(negatives.text_for_video, contrast.v2t.masked_fill(own, -2).argmax(dim=1))
    assert torch.equal(negatives.video_for_text, contrast.t2v.masked_fill(own, -2).argmax(dim=1))
    assert not torch.equal(negatives.text_for_video, negatives.video_for_text)


def test_matching_head_averages_queries_and_counts_what_is_valid():
    head = MODELS.build({'type': 'MatchingHead', 'width': 16}).double()
    queries = torch.randn(3, 2, 4, 16, dtype=torch.float64)
    expected = torch.stack([head.classifier(queries[:, :, i]) for i in range(4)]).mean(dim=0)
    torch.testing.assert_close(head(queries), expected)

    positive = torch.tensor([[0.0, 2.0], [3.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    text, video = -positive, torch.tensor([[1.0, 0.0]] * 3, dtype=torch.float64)
    index = torch.zeros(3, dtype=torch.long)
    valid_text, valid_video = torch.tensor([True, True, False]), torch.tensor([True, False, False])
    out = head.loss_from_logits(positive, text, video, NegativeIndices(index, index, valid_text, valid_video))
    kept = torch.stack([positive[0], positive[1], text[0], text[1], video[0]])
    labels = torch.tensor([1, 1, 0, 0, 0])
    torch.testing.assert_close(out['loss_vtm'], F.cross_entropy(kept, labels))
    assert out['vtm_accuracy'].item() == pytest.approx(3 / 5)
    assert out['vtm_skipped'].item() == pytest.approx(4 / 9)


def test_caption_head_passes_its_settings_on():
    logits = torch.randn(2, 3, 7)
    ids, mask = torch.tensor([[1, 2, 3], [1, 4, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]]).bool()
    head = CaptionHead({'type': 'VTG', 'label_smoothing': 0.0, 'loss_weight': 2.0})
    rows = torch.stack([logits[0, 0], logits[0, 1], logits[1, 0]])
    expected = 2 * F.cross_entropy(rows, torch.tensor([2, 3, 4]))
    torch.testing.assert_close(head.loss(logits, ids, mask)['loss_vtg'], expected)


def test_no_step_waits_for_the_device():
    """Fake tensors have no values: whatever asks for one on the host raises."""
    contrastive, matching = ContrastiveHead(16, embed_dim=8, alpha=0.5), MatchingHead(16)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        contrastive, matching = (fake_copy(head, fake) for head in (contrastive, matching))
        states = torch.randn(2, 4, 3, 16, device='cuda')
        contrast = contrastive.loss(
            contrastive.project_queries(states[0]),
            contrastive.project_text(states[1]),
            torch.zeros(4, dtype=torch.long, device='cuda'),
            torch.ones(4, dtype=torch.long, device='cuda'),
        )
        negatives = matching.sample(contrast)
        out = matching.loss_from_logits(*matching(torch.randn(3, 4, 3, 16, device='cuda')), negatives)
        ids, mask = negatives.text_for_video.expand(2, 4), negatives.valid_text.expand(2, 4)
        out |= CaptionHead().loss(torch.randn(2, 4, 9, device='cuda'), ids, mask)
        with pytest.raises(DataDependentOutputException):
            out['loss_vtm'].item()
    assert {value.device.type for value in (*out.values(), *contrast.losses.values())} == {'cuda'}


def fake_copy(head, mode):
    """The module with fake parameters on a fake GPU."""
    for module in head.modules():
        for name, parameter in list(module._parameters.items()):
            fake = mode.from_tensor(parameter.detach()).to('cuda')
            module._parameters[name] = torch.nn.Parameter(fake)
    return head
