"""Captions by the aligner's own decoder."""

import pytest
import torch
from tiny_aligner import TEXTS, build_aligner, prepared_batch, write_vocab


@pytest.fixture(scope='module')
def aligner(tmp_path_factory):
    aligner = build_aligner(write_vocab(tmp_path_factory.mktemp('vocab')), seed=2).eval()
    with torch.no_grad():
        for value in aligner.qformer.parameters():
            value.add_(torch.randn_like(value) * 0.6)
    return aligner


@pytest.fixture(scope='module')
def inputs(aligner):
    return prepared_batch(aligner, range(5))['inputs']


@torch.no_grad()
def greedy(aligner, inputs, length):
    """All logits of a text at once, for every token that is added."""
    _, cache = aligner.qformer.encode_video(aligner.qformer.project_video(aligner.extract_tokens(inputs)))
    tokenizer, rows = aligner.data_preprocessor.tokenizer, cache[0][0].shape[0]
    ids, total = torch.full((rows, 1), tokenizer.dec_id), torch.zeros(rows, dtype=torch.float64)
    done = torch.zeros(rows, dtype=torch.bool)
    for step in range(length):
        logits = aligner.qformer.decode(cache, ids, torch.ones_like(ids, dtype=torch.bool))[:, -1]
        likely = logits.log_softmax(dim=-1)
        if step == 0:
            likely[:, tokenizer.sep_id] = -torch.inf
        value, token = likely.max(dim=1)
        total += value.masked_fill(done, 0)
        ids = torch.cat([ids, token.masked_fill(done, tokenizer.sep_id)[:, None]], dim=1)
        done |= token == tokenizer.sep_id
    return list(zip(tokenizer.decode(ids[:, 1:]), total.tolist()))


def test_one_beam_is_greedy(aligner, inputs):
    found = aligner.caption(inputs, num_beams=1, max_length=8, length_penalty=0.0)
    wanted = greedy(aligner, inputs, 8)
    assert [text for text, _ in found] == [text for text, _ in wanted] and all(text for text, _ in found)
    assert len({text for text, _ in found}) > 1, 'it depends on the video'
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted], abs=1e-9)


def test_beams_find_what_is_more_likely_and_rows_do_not_mix(aligner, inputs):
    options = dict(max_length=8, length_penalty=0.0)
    found = aligner.caption(inputs, num_beams=8, **options)
    one = aligner.caption(inputs, num_beams=1, **options)
    assert all(better >= score - 1e-9 for (_, better), (_, score) in zip(found, one))
    assert any(better > score + 1e-6 for (_, better), (_, score) in zip(found, one))
    for row in range(5):
        alone = aligner.caption({'video': inputs['video'][row : row + 1]}, num_beams=8, **options)
        assert alone[0][0] == found[row][0] and alone[0][1] == pytest.approx(found[row][1], abs=1e-9)


def test_it_says_what_the_objective_has_taught(tmp_path):
    aligner = build_aligner(write_vocab(tmp_path)).train()
    batch = prepared_batch(aligner, [2])
    optimizer = torch.optim.AdamW([p for p in aligner.parameters() if p.requires_grad], lr=3e-2)
    for _ in range(40):
        optimizer.zero_grad()
        aligner.loss(**batch)['loss_vtg'].backward()
        optimizer.step()
    assert aligner.eval().caption(batch['inputs'], max_length=16)[0][0] == TEXTS[2]


def test_what_cannot_be_is_named(aligner, inputs, tmp_path):
    with pytest.raises(ValueError, match='max_length=17: the Q-Former has positions for 16'):
        aligner.caption(inputs, max_length=17)
    with pytest.raises(ValueError, match='no caption_head'):
        build_aligner(write_vocab(tmp_path), without='captions').caption(inputs)
