"""Beam search against all sequences of a tiny vocabulary, and against transformers."""

from itertools import product

import pytest
import torch

from stgt_mm.functional.beam_search import beam_search

VOCAB, LENGTH, END, ROWS = 4, 4, 2, 3


def grown(table):
    """Steps whose state are rows and prefixes: the logits depend on the row and on every token so far."""

    def step(state, last):
        row, prefix = state
        prefix = torch.cat([prefix, last[:, None]], dim=1)
        code = (prefix * 5 ** torch.arange(prefix.shape[1])).sum(dim=1) % table.shape[1]
        return table[row, code], (row, prefix)

    state = torch.arange(ROWS), torch.empty(ROWS, 0, dtype=torch.int64)
    return step, lambda parts, index: tuple(part[index] for part in parts), state


@pytest.mark.parametrize('penalty', [-1.0, 0.0, 0.7, 2.0])
@pytest.mark.parametrize('least', [0, 2])
def test_with_beams_for_all_it_finds_the_best_of_all(penalty, least):
    table = torch.randn(ROWS, 997, VOCAB, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    first = torch.tensor([1, 0, 3])
    options = dict(min_length=least, max_length=LENGTH, length_penalty=penalty)
    ids, scores = beam_search(*grown(table), first, END, num_beams=128, **options)
    step, _, state = grown(table)
    for row in range(ROWS):
        best = (-float('inf'), None)
        for text in product(range(VOCAB), repeat=LENGTH):
            length = text.index(END) + 1 if END in text else LENGTH
            if length <= least or set(text[length:]) - {END}:
                continue
            own, last, total = (state[0][row : row + 1], state[1][:1]), first[row : row + 1], 0.0
            for token in text[:length]:
                logits, own = step(own, last)
                likely = logits.log_softmax(dim=-1)[0]
                last, total = torch.tensor([token]), total + float(likely[token])
            best = max(best, (total / length**penalty, text))
        assert tuple(ids[row].tolist()) == best[1]
        assert float(scores[row]) == pytest.approx(best[0], abs=1e-6)


@torch.no_grad()
def test_equals_transformers():
    transformers = pytest.importorskip('transformers')
    torch.manual_seed(6)  # one of those by which some sequences end
    sizes = dict(hidden_size=16, word_embed_proj_dim=16, ffn_dim=32, num_hidden_layers=2, vocab_size=12)
    special = dict(bos_token_id=1, eos_token_id=END, pad_token_id=0)
    opt = transformers.OPTForCausalLM(
        transformers.OPTConfig(num_attention_heads=2, **sizes, **special)
    ).eval()
    for value in opt.parameters():
        value.add_(torch.randn_like(value) * 0.3)

    def step(ids, last):
        ids = torch.cat([ids, last[:, None]], dim=1)
        return opt(ids).logits[:, -1], ids

    first = torch.tensor([1, 5, 7, 9])
    lengths = set()
    for beams, penalty, least in [(1, 0.0, 1), (2, -1.0, 1), (5, 0.0, 1), (5, 1.5, 1), (3, 0.0, 7)]:
        options = dict(num_beams=beams, min_new_tokens=least, max_new_tokens=9, do_sample=False)
        if beams > 1:
            options |= dict(length_penalty=penalty, early_stopping='never')
        found = opt.generate(first[:, None], **options, return_dict_in_generate=True, output_scores=True)
        state = first.new_empty(4, 0)
        ids, scores = beam_search(step, torch.Tensor.__getitem__, state, first, END, beams, least, 9, penalty)
        wanted = torch.full((4, 9), END)
        wanted[:, : found.sequences.shape[1] - 1] = found.sequences[:, 1:]
        ended = (wanted == END).cumsum(dim=1) > 0
        assert torch.equal(ids, wanted.masked_fill(ended, END)), (beams, penalty, least)
        if beams > 1:
            torch.testing.assert_close(scores, found.sequences_scores)
        lengths |= set((~ended).sum(dim=1).tolist())
    assert len(lengths) > 2, 'some end and some do not'


def test_wrong_options_and_logits_are_named():
    def step(state, last):
        return torch.full((len(last), 3), torch.nan), state

    arguments = (step, lambda state, index: state, None, torch.tensor([0]), 1)
    for wrong in ({'num_beams': 0}, {'min_length': 30}, {'min_length': -1}):
        with pytest.raises(ValueError, match=f'{next(iter(wrong))}={next(iter(wrong.values()))}'):
            beam_search(*arguments, **wrong)
    with pytest.raises(ValueError, match='gave NaN as logits'):
        beam_search(*arguments)
