"""BERT as the start of a Q-Former: texts give what transformers' BERT gives."""

import pytest
import torch
from small_blip2 import bert_sizes, randomise

from stgt_mm.converters import bert
from stgt_mm.models.qformer import QFormer

transformers = pytest.importorskip('transformers')
WIDTH, DEPTH, VOCAB, POSITIONS = 48, 3, 60, 20


@pytest.fixture(scope='module')
def theirs():
    sizes = bert_sizes(VOCAB, WIDTH, DEPTH)
    config = transformers.BertConfig(**sizes, max_position_embeddings=POSITIONS)
    torch.manual_seed(7)
    return randomise(transformers.BertForPreTraining(config)).eval()


def qformer(state):
    model = QFormer(VOCAB + 1, WIDTH, DEPTH, 4, 5, 24, max_positions=POSITIONS).eval()
    names = {key.removeprefix('qformer.'): value for key, value in state.items()}
    result = model.load_state_dict(names, strict=False)
    assert result.unexpected_keys == []
    cross = [key for key in result.missing_keys if '.cross_' in key]
    assert set(result.missing_keys) - set(cross) == {'embeddings.queries'}
    return model


def texts():
    ids = torch.randint(0, VOCAB, (3, 7), generator=torch.Generator().manual_seed(8))
    return ids, torch.arange(7) < torch.tensor([[3], [5], [7]])


@torch.no_grad()
def test_text_path(theirs):
    converted = bert.convert(theirs.state_dict())
    assert converted.unknown == []
    ids, mask = texts()
    wanted = theirs.bert(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    ours = qformer(converted).encode_text(ids, mask)
    torch.testing.assert_close(ours[mask], wanted[mask], rtol=0, atol=1e-4)


@torch.no_grad()
def test_caption_head(theirs):
    model = qformer(bert.convert(theirs.state_dict()))
    states = torch.randn(2, 4, WIDTH)
    ours = model.causal_head(states, model.embeddings.words.weight)
    torch.testing.assert_close(ours[..., :VOCAB], theirs.cls.predictions(states), rtol=0, atol=1e-4)


def test_queries_start_with_the_feed_forward_of_texts(theirs):
    model = qformer(bert.convert(theirs.state_dict()))
    for layer in model.layers:
        pairs = ((layer.query_ffn, layer.text_ffn), (layer.query_residual, layer.text_residual))
        for query, text in pairs:
            for name, value in text.state_dict().items():
                assert torch.equal(query.state_dict()[name], value)
        assert layer.query_ffn.up.weight.data_ptr() != layer.text_ffn.up.weight.data_ptr()


def test_dec_is_one_more_row(theirs):
    state = theirs.state_dict()
    words = state['bert.embeddings.word_embeddings.weight']
    converted = bert.convert(state)
    grown = converted['qformer.embeddings.words.weight']
    assert grown.shape == (VOCAB + 1, WIDTH)
    assert torch.equal(grown[:VOCAB], words)
    torch.testing.assert_close(grown[VOCAB], words.mean(0))
    assert converted['qformer.causal_head.bias'].shape == (VOCAB + 1,)
    assert bert.convert(state, add_dec=False)['qformer.embeddings.words.weight'].shape == (VOCAB, WIDTH)


def test_old_and_bare_names(theirs):
    """bert-base-uncased writes gamma and beta; BertModel alone has neither prefix nor head."""
    state = theirs.state_dict()
    old = {
        key.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta'): value
        for key, value in state.items()
    }
    assert any(key.endswith('gamma') for key in old)
    bare = bert.convert(theirs.bert.state_dict())
    wanted = bert.convert(state)
    assert bert.convert(old).keys() == wanted.keys() and bert.convert(old).unknown == []
    assert bare.keys() == {key for key in wanted if 'causal_head' not in key}
    assert all(torch.equal(bare[key], wanted[key]) for key in bare)
    assert 'bert.embeddings.LayerNorm.gamma' in bert.convert(old).origin['qformer.embeddings.norm.weight']
