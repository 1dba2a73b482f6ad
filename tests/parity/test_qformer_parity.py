"""The Q-Former against transformers: the same random weights, copied by name, give the same numbers.

BLIP-2 checkpoints hold a BERT, so this is the test that they will fit.
"""

import re

import pytest
import torch
from small_blip2 import bert_sizes
from torch import nn

from stgt_mm.models.qformer import QFormer

transformers = pytest.importorskip('transformers')

V, K, M, C, Q, L, D, HEADS, DEPTH, VOCAB = 2, 3, 9, 24, 5, 7, 32, 4, 4, 50

# Ours -> BERT's as transformers has them; LAVIS and BERT itself write `attention.self.query`.
RENAME = [
    (r'^layers\.', 'encoder.layer.'),
    (r'self_attention\.(query|key|value)', r'attention.attention.\1'),
    (r'self_attention\.output', 'attention.output.dense'),
    (r'self_residual\.norm', 'attention.output.LayerNorm'),
    (r'cross_attention\.(query|key|value)', r'crossattention.attention.\1'),
    (r'cross_attention\.output', 'crossattention.output.dense'),
    (r'cross_residual\.norm', 'crossattention.output.LayerNorm'),
    (r'query_ffn\.up', 'intermediate_query.dense'),
    (r'query_ffn\.down', 'output_query.dense'),
    (r'query_residual\.norm', 'output_query.LayerNorm'),
    (r'text_ffn\.up', 'intermediate.dense'),
    (r'text_ffn\.down', 'output.dense'),
    (r'text_residual\.norm', 'output.LayerNorm'),
]


def rename(name):
    for ours, theirs in RENAME:
        name = re.sub(ours, theirs, name)
    return name


@pytest.fixture(scope='module')
def ours():
    torch.manual_seed(0)
    model = QFormer(VOCAB, D, DEPTH, HEADS, Q, C, max_positions=16, init_std=0.2).double().eval()
    for module in model.modules():
        if isinstance(module, (nn.LayerNorm, nn.Linear)):
            nn.init.normal_(module.bias, std=0.2)
        if isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.weight, mean=1.0, std=0.2)
    nn.init.normal_(model.causal_head.bias, std=0.2)
    return model


@pytest.fixture(scope='module')
def blip2(ours):
    """transformers' BLIP-2 Q-Former with our weights; every one of its parameters must be met."""
    video = {'encoder_hidden_size': C, 'cross_attention_frequency': 2, 'use_qformer_text_input': True}
    config = transformers.Blip2QFormerConfig(**bert_sizes(VOCAB, D, DEPTH), **video)
    model = transformers.Blip2QFormerModel(config).double().eval()
    state = {rename(name): value for name, value in ours.state_dict().items() if name.startswith('layers.')}
    state['layernorm.weight'] = ours.embeddings.norm.weight
    state['layernorm.bias'] = ours.embeddings.norm.bias
    model.load_state_dict(state)
    return model


@pytest.fixture(scope='module')
def bert(ours):
    """transformers' BERT with a causal mask and its prediction head, with our text weights."""
    sizes = {**bert_sizes(VOCAB, D, DEPTH), 'max_position_embeddings': 16, 'type_vocab_size': 1}
    config = transformers.BertConfig(**sizes, is_decoder=True, attn_implementation='eager')
    model = transformers.BertLMHeadModel(config).double().eval()
    state = {
        'bert.' + rename(name).replace('attention.attention', 'attention.self'): value
        for name, value in ours.state_dict().items()
        if name.startswith('layers.') and 'cross' not in name and 'query_' not in name
    }
    for theirs, module in [
        ('bert.embeddings.word_embeddings', ours.embeddings.words),
        ('bert.embeddings.position_embeddings', ours.embeddings.positions),
        ('bert.embeddings.LayerNorm', ours.embeddings.norm),
        ('cls.predictions.transform.dense', ours.causal_head.dense),
        ('cls.predictions.transform.LayerNorm', ours.causal_head.norm),
    ]:
        state.update({f'{theirs}.{name}': value for name, value in module.named_parameters()})
    state['bert.embeddings.token_type_embeddings.weight'] = torch.zeros(1, D)
    state['cls.predictions.bias'] = state['cls.predictions.decoder.bias'] = ours.causal_head.bias
    state['cls.predictions.decoder.weight'] = ours.embeddings.words.weight
    model.load_state_dict(state)
    return model


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(V, M, C, generator=generator, dtype=torch.float64)
    ids = torch.randint(0, VOCAB, (V, K, L), generator=generator)
    lengths = torch.tensor([[3, 7, 5], [7, 2, 4]])
    return tokens, ids, torch.arange(L) < lengths[..., None]


def words_and_positions(ours, ids):
    return ours.embeddings.words(ids) + ours.embeddings.positions.weight[: ids.shape[-1]]


def close(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


@torch.no_grad()
def test_queries_alone(ours, blip2, batch):
    tokens = batch[0]
    wanted = blip2(ours.embeddings.queries.expand(V, -1, -1), encoder_hidden_states=tokens)
    close(ours.encode_video(ours.project_video(tokens))[0], wanted.last_hidden_state)


@torch.no_grad()
def test_text_alone(ours, blip2, batch):
    _, ids, mask = batch
    ids, mask = ids.flatten(0, 1), mask.flatten(0, 1)
    wanted = blip2(words_and_positions(ours, ids), query_length=0, attention_mask=mask.long())
    close(ours.encode_text(ids, mask)[mask], wanted.last_hidden_state[mask])


@torch.no_grad()
def test_queries_and_text(ours, blip2, batch):
    tokens, ids, mask = batch
    flat = words_and_positions(ours, ids.flatten(0, 1))
    both = torch.cat([ours.embeddings.queries.expand(V * K, -1, -1), flat], dim=1)
    visible = torch.cat([torch.ones(V * K, Q), mask.flatten(0, 1)], dim=1).long()
    wanted = blip2(
        both,
        query_length=Q,
        attention_mask=visible,
        encoder_hidden_states=tokens.repeat_interleave(K, dim=0),
    )
    fused = ours.fuse(ours.project_video(tokens), ids, mask)
    close(fused.flatten(0, 1), wanted.last_hidden_state[:, :Q])


@torch.no_grad()
def test_text_alone_against_bert(ours, bert, batch):
    """The text path is BERT's encoder: the same weights without the causal mask."""
    _, ids, mask = batch
    ids, mask = ids.flatten(0, 1), mask.flatten(0, 1)
    config = transformers.BertConfig(**{**bert.config.to_dict(), 'is_decoder': False})
    encoder = transformers.BertModel(config, add_pooling_layer=False).double().eval()
    encoder.load_state_dict(bert.bert.state_dict())
    wanted = encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    close(ours.encode_text(ids, mask)[mask], wanted[mask])


@torch.no_grad()
def test_text_after_the_queries_against_bert(ours, bert, batch):
    """BERT as a decoder, with the keys and values of our query pass as its past; positions start at 0."""
    tokens, ids, mask = batch
    ids, mask = ids[:, 0], mask[:, 0]
    cache = ours.encode_video(ours.project_video(tokens))[1]
    past = transformers.DynamicCache()
    for index, (keys, values) in enumerate(cache):
        past.update(keys, values, index)
    wanted = bert(
        input_ids=ids,
        attention_mask=torch.cat([torch.ones(V, Q), mask], dim=1).long(),
        position_ids=torch.arange(L).expand(V, -1),
        past_key_values=past,
    ).logits
    close(ours.decode(cache, ids, mask)[mask], wanted[mask])


def attend(attention, x, context, allowed):
    """Attention by loops over heads and positions."""
    size = D // HEADS
    queries, keys, values = attention.query(x), attention.key(context), attention.value(context)
    read = torch.zeros_like(queries)
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        for i in range(len(x)):
            seen = [j for j in range(len(context)) if allowed(i, j)]
            scores = torch.stack([queries[i, part] @ keys[j, part] for j in seen]) / size**0.5
            read[i, part] = sum(w * values[j, part] for w, j in zip(scores.softmax(0), seen))
    return attention.output(read)


@torch.no_grad()
def test_decode_against_one_sequence_with_the_prefix_mask(ours, batch):
    """One sequence, each position by a loop: queries never see text, text sees what was before."""
    tokens, ids, mask = batch
    ids, mask = ids[:1, 0], mask[:1, 0]
    x = torch.cat([ours.embeddings.queries, words_and_positions(ours, ids[0])])
    x = ours.embeddings.norm(x)

    def allowed(i, j):
        return j < Q or (i >= j and bool(mask[0, j - Q]))

    for layer in ours.layers:
        x = layer.self_residual.norm(x + attend(layer.self_attention, x, x, allowed))
        queries, text = x[:Q], x[Q:]
        if layer.cross_attention is not None:
            read = attend(layer.cross_attention, queries, tokens[0], lambda i, j: True)
            queries = layer.cross_residual.norm(queries + read)
        queries = layer.query_residual.norm(queries + layer.query_ffn(queries))
        text = layer.text_residual.norm(text + layer.text_ffn(text))
        x = torch.cat([queries, text])
    encoded, cache = ours.encode_video(ours.project_video(tokens[:1]))
    close(encoded[0], x[:Q])
    head = ours.causal_head
    states = head.norm(nn.functional.gelu(head.dense(x[Q:])))
    wanted = states @ ours.embeddings.words.weight.T + head.bias
    close(ours.decode(cache, ids, mask)[0][mask[0]], wanted[mask[0]])
