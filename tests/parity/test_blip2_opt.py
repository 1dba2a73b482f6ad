"""BLIP-2 and InstructBLIP of Hugging Face, with a language model, against ours: logits and answers."""

import re

import pytest
import torch
from lavis_layout import RENAME
from small_blip2 import DEPTH, IMAGE, POSITIONS, VOCAB, C, D, Q, model_cfg, randomise

from stgt_mm.converters.answerers import convert_hf, revert_hf
from stgt_mm.converters.conversion import convert_file
from stgt_mm.converters.sources import convert_source
from stgt_mm.engine.checkpoint.weights import frozen_parts
from stgt_mm.models.tokenizer import SPECIAL_TOKENS
from stgt_mm.registry import MODELS

transformers = pytest.importorskip('transformers')

OPT = dict(
    model_type='opt', hidden_size=32, word_embed_proj_dim=32, ffn_dim=64, num_hidden_layers=2,
    num_attention_heads=2, max_position_embeddings=64, vocab_size=VOCAB, pad_token_id=0,
)  # fmt: skip
LLAMA = dict(
    model_type='llama', hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    max_position_embeddings=64, vocab_size=VOCAB, pad_token_id=0,
)  # fmt: skip
QUESTIONS = ['w9 w12', 'w30 w31 w32 w20', 'w13']


def write_vocab(folder):
    words = [*SPECIAL_TOKENS, 'question', 'answer', ':', *(f'w{i}' for i in range(8, VOCAB - 1))]
    (folder / 'vocab.txt').write_text('\n'.join(words) + '\n')
    return str(folder / 'vocab.txt')


def their_config(family, text):
    vision = dict(
        hidden_size=C, intermediate_size=3 * C, num_hidden_layers=DEPTH, num_attention_heads=4,
        image_size=IMAGE, patch_size=14,
    )  # fmt: skip
    qformer = dict(
        hidden_size=D, num_hidden_layers=4, num_attention_heads=4, intermediate_size=4 * D, vocab_size=VOCAB,
        max_position_embeddings=POSITIONS, encoder_hidden_size=C,
    )  # fmt: skip
    options = dict(
        vision_config=vision, qformer_config=qformer, num_query_tokens=Q, image_token_index=VOCAB - 1
    )
    return getattr(transformers, family)(
        **options, text_config=transformers.AutoConfig.for_model(**text), tie_word_embeddings=False
    )


def answerer_cfg(folder, text, reads=False):
    cfg = model_cfg(type='VideoQuestionAnswerer', prompt='question: {question} answer:')
    for head in ('contrastive_head', 'matching_head', 'caption_head'):
        del cfg[head]
    vocab = write_vocab(folder)
    tokenizer = dict(type='WordPieceTokenizer', vocab=vocab)
    cfg['language_model'] = dict(type='CausalLanguageModel', config=text, tokenizer=vocab)
    cfg['data_preprocessor'] = dict(type='VideoTextDataPreprocessor', tokenizer=tokenizer)
    return {**cfg, 'condition_on_question': reads, 'num_beams': 1, 'max_new_tokens': 6}


def build_pair(folder, text, family='Blip2', reads=False):
    torch.manual_seed(0)
    theirs = getattr(transformers, f'{family}ForConditionalGeneration')(their_config(f'{family}Config', text))
    randomise(theirs).eval()
    with torch.no_grad():
        for name, value in theirs.language_model.named_parameters():
            if text is LLAMA and 'norm' in name:
                value.add_(1)  # its norms are no LayerNorms, around which scales are drawn
    ours = MODELS.build(answerer_cfg(folder, text, reads)).eval()
    converted = convert_hf(theirs.state_dict())
    assert converted.unknown == []
    ours.load_state_dict(converted, strict=True)
    return ours, theirs


def pixels():
    return torch.randn(3, 3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(2))


def their_inputs(ours, **more):
    """Image tokens, padded on the left, then the prompt."""
    rows = [[VOCAB - 1] * Q + ids for ids in ours._encode_prompts(QUESTIONS)]
    length = max(map(len, rows))
    ids = torch.tensor([[0] * (length - len(row)) + row for row in rows])
    return {'pixel_values': pixels(), 'input_ids': ids, 'attention_mask': (ids != 0).long(), **more}


@torch.no_grad()
def assert_same(ours, theirs, inputs):
    video = {'video': pixels()[:, None]}
    prefix = ours.projection(ours.read(video, QUESTIONS))
    embeds, mask = ours.language_model.join(prefix, ours._encode_prompts(QUESTIONS), 'left')
    logits, expected = ours.language_model(embeds, mask), theirs(**inputs).logits
    for row, wanted, real in zip(logits, expected, inputs['attention_mask'].bool()):
        torch.testing.assert_close(row[:Q], wanted[real][:Q], rtol=0, atol=1e-4)
        count = int(real.sum()) - Q
        torch.testing.assert_close(row[-count:], wanted[real][Q:], rtol=0, atol=1e-4)
    assert expected.std() > 0.1
    options = dict(do_sample=False, num_beams=1, max_new_tokens=6, min_new_tokens=1)
    options |= dict(eos_token_id=ours.language_model.tokenizer.eos_token_id, pad_token_id=0)
    found = theirs.generate(**inputs, **options)[:, -6:]
    texts = ours.language_model.tokenizer.batch_decode(found, skip_special_tokens=True)
    answers = [best[0][0] for best in ours.answer(video, QUESTIONS, k=1)]
    assert answers == [text.strip() for text in texts]
    assert len(set(answers)) > 1
    return logits


@pytest.mark.parametrize('text', [OPT, LLAMA], ids=['opt', 'llama'])
def test_same_logits_and_greedy_answer(tmp_path, text):
    ours, theirs = build_pair(tmp_path, text)
    assert_same(ours, theirs, their_inputs(ours))


def test_same_with_a_q_former_that_reads_the_question(tmp_path):
    ours, theirs = build_pair(tmp_path, LLAMA, 'InstructBlip', reads=True)
    ids, mask = ours.data_preprocessor.tokenize(QUESTIONS)
    more = {'qformer_input_ids': ids, 'qformer_attention_mask': mask.long()}
    assert_same(ours, theirs, their_inputs(ours, **more))


def test_the_command_on_a_folder_of_hugging_face(tmp_path):
    """Its result is a start for an answerer, whose frozen parts are then named by the file."""
    ours, theirs = build_pair(tmp_path, OPT)
    theirs.save_pretrained(tmp_path / 'blip2')
    cfg = answerer_cfg(tmp_path, OPT)
    (tmp_path / 'answerer.py').write_text(f'model = {cfg!r}\n')
    out = tmp_path / 'answerer.safetensors'
    report = convert_file(
        'hf_blip2_answerer', str(tmp_path / 'blip2'), str(out), str(tmp_path / 'answerer.py')
    )
    assert not report.unknown and not report.missing and not report.gaps
    started = MODELS.build({**cfg, 'checkpoint': str(out)})
    for name, value in ours.state_dict().items():
        assert torch.equal(started.state_dict()[name], value), name
    assert set(frozen_parts(started)) == {'backbone', 'vision_norm', 'language_model'}
    assert {part['source'] for part in frozen_parts(started).values()} == {str(out)}


def test_the_way_back_and_what_a_file_has_once(tmp_path):
    ours, theirs = build_pair(tmp_path, OPT)
    state = theirs.state_dict()
    back = revert_hf(ours.state_dict())
    assert set(back) == set(state)
    for name, tensor in back.items():
        if not name.endswith('qkv.bias'):  # the bias of the keys, which changes nothing, comes back as 0
            assert torch.equal(tensor, state[name]), name
    head = state.pop('language_model.lm_head.weight')
    converted = convert_hf(state)
    assert torch.equal(converted['language_model.model.lm_head.weight'], head)
    assert list(converted.filled) == ['language_model.model.lm_head.weight']


def test_lavis_names_give_the_same_weights(tmp_path):
    ours, theirs = build_pair(tmp_path, OPT)
    names = [*RENAME, ('^language_projection', 'opt_proj'), ('^language_model', 'opt_model')]
    state = {}
    for key, value in theirs.state_dict().items():
        for old, new in names if not key.startswith('language_model') else names[-1:]:
            key = re.sub(old, new, key)
        if key.endswith('attn.qkv.bias'):
            query, _, state[key.replace('qkv.bias', 'v_bias')] = value.chunk(3)
            state[key.replace('qkv.bias', 'q_bias')] = query
        else:
            state[key] = value
    for source in ('lavis_blip2_answerer', 'hf_blip2_answerer'):
        given = state if source.startswith('lavis') else theirs.state_dict()
        converted = convert_source(source, given)
        assert converted.unknown == []
        assert set(converted) == set(ours.state_dict())
        assert all(torch.equal(tensor, ours.state_dict()[name]) for name, tensor in converted.items())
