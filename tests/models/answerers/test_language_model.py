"""The causal language model: what its loss covers, generation, ranking, and input that it refuses."""

import pytest
import torch
import transformers
from tiny_answerer import ANSWERS, LANGUAGE_MODELS, QUESTIONS, TRUTHS, build, inputs, write_files
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from stgt_mm.engine.checkpoint.weights import frozen_parts, is_in
from stgt_mm.models.answerers.language_model import CausalLanguageModel

FAMILIES = pytest.mark.parametrize('family', LANGUAGE_MODELS)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp('answerer'))


def rows(files, family, **options):
    """An answerer in float64, prefixes, prompts and answers of three questions."""
    model = build(files, family=family, **options).double().eval()
    prefix = model.projection(model.read(inputs(dtype=torch.float64), QUESTIONS)).detach()
    return model.language_model, prefix, model._encode_prompts(QUESTIONS), model._encode_answers(TRUTHS)


def close(found, expected, atol=1e-9):
    torch.testing.assert_close(torch.as_tensor(found), torch.as_tensor(expected), rtol=0, atol=atol)


def steps(language, prefix, prompt, answer):
    """The naive way: one row, no padding, no cache; log-likelihoods of the answer's tokens."""
    ids = torch.tensor([prompt + answer])
    words = language.model.get_input_embeddings()(ids)
    logits = language.model(inputs_embeds=torch.cat([prefix[None], words], dim=1)).logits[0]
    before = len(prefix) + len(prompt) - 1
    return logits.log_softmax(dim=-1)[torch.arange(before, before + len(answer)), answer]


@FAMILIES
def test_loss_is_the_mean_over_answer_and_end_tokens_on_either_side(files, family):
    language, prefix, prompts, answers = rows(files, family)
    naive = torch.cat([steps(language, *row) for row in zip(prefix, prompts, answers)])
    assert len(naive) == sum(len(text.split()) + 1 for text in TRUTHS)
    assert len({len(prompt) for prompt in prompts}) > 1
    for side in ('right', 'left'):
        close(language.answer_loss(prefix, prompts, answers, side), -naive.mean())
    for index in range(3):  # padding of a batch changes nothing for its rows
        alone = language.answer_loss(prefix[index : index + 1], [prompts[index]], [answers[index]])
        close(alone, -steps(language, prefix[index], prompts[index], answers[index]).mean())


@FAMILIES
def test_loss_does_not_cover_prompt_and_prefix(files, family):
    """A language model that only sees the last token: prompts that end alike have one loss."""
    language, prefix, prompts, answers = rows(files, family)
    blind = [part for name, part in language.model.named_modules() if name.endswith(('out_proj', 'o_proj'))]
    blind += [part for name, part in language.model.named_modules() if name.endswith('embed_positions')]
    for part in blind:
        for parameter in part.parameters():
            torch.nn.init.zeros_(parameter)
    loss = language.answer_loss(prefix, prompts, answers)
    other = [[prompt[-2], prompt[-1]] for prompt in prompts]
    assert other != prompts
    close(language.answer_loss(prefix, other, answers), loss)
    close(
        language.answer_loss(torch.randn_like(prefix), [p[::-1] + p for p in prompts], answers, 'left'), loss
    )
    assert abs(language.answer_loss(prefix, [p[:-1] for p in prompts], answers) - loss) > 1e-3


@FAMILIES
@pytest.mark.parametrize('at_once', [1, 7, 256])
def test_ranking_with_one_prefix_is_the_naive_way(files, family, at_once):
    language, prefix, prompts, _ = rows(files, family)
    candidates = [language.encode_answer(text, ':', 10) for text in ANSWERS]
    found = language.rank(prefix, prompts, candidates, at_once)
    for row, *given in zip(found, prefix, prompts):
        close(row, torch.stack([steps(language, *given, ids).sum() for ids in candidates]))
    assert found.std() > 0.1


@FAMILIES
def test_greedy_generation_is_the_naive_way_and_scores_are_likelihoods(files, family):
    language, prefix, prompts, _ = rows(files, family)
    end = language.tokenizer.eos_token_id
    found = language.generate(prefix, prompts, num_beams=1, max_new_tokens=4, length_penalty=-1.0)
    for ((text, score),), own, prompt in zip(found, prefix, prompts):
        ids, total = [], 0.0
        while len(ids) < 4 and end not in ids:
            ids_now = torch.tensor([prompt + ids])
            words = language.model.get_input_embeddings()(ids_now)
            logits = language.model(inputs_embeds=torch.cat([own[None], words], dim=1)).logits[0, -1]
            allowed = logits.clone()
            if not ids:
                allowed[end] = -torch.inf  # not an empty answer
            ids.append(int(allowed.argmax()))
            total += float(allowed.log_softmax(dim=-1)[ids[-1]])
        assert text == language.tokenizer.decode(ids, skip_special_tokens=True).strip()
        close(score, total, 1e-5)  # transformers adds scores in float32


@FAMILIES
def test_the_best_beam_is_the_most_likely_answer(files, family):
    """With beams for every continuation of two tokens, and the power of the length as asked."""
    language, prefix, prompts, _ = rows(files, family)
    size = language.model.get_input_embeddings().num_embeddings
    found = language.generate(prefix, prompts, 3, num_beams=size, max_new_tokens=2, length_penalty=0.0)
    end = language.tokenizer.eos_token_id
    pairs = [[a, b] for a in range(size) if a != end for b in range(size)]
    for answers, own, prompt in zip(found, prefix, prompts):
        assert [len(answers), answers[0][1]] == [3, max(score for _, score in answers)]
        naive = torch.stack([steps(language, own, prompt, pair).sum() for pair in pairs])
        close(answers[0][1], float(naive.max()), 1e-5)


@pytest.mark.parametrize('kind', ['byte pairs', 'sentence pieces'])
def test_answers_are_tokens_as_they_follow_the_prompt(tmp_path, kind):
    """Tokenizers that write the space before a word into it, as those of OPT and LLaMA do."""
    model = Tokenizer(models.BPE(unk_token='<unk>'))
    if kind == 'byte pairs':
        model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        model.decoder = decoders.ByteLevel()
    else:
        model.pre_tokenizer = pre_tokenizers.Metaspace()
        model.decoder = decoders.Metaspace()
    special = ['<unk>', '<s>', '</s>']
    texts = [f'Question: {question} Short answer: {answer}' for question in QUESTIONS for answer in ANSWERS]
    model.train_from_iterator(texts, trainers.BpeTrainer(special_tokens=special, vocab_size=80))
    names = dict(zip(('unk_token', 'bos_token', 'eos_token'), special))
    transformers.PreTrainedTokenizerFast(tokenizer_object=model, **names).save_pretrained(tmp_path)
    language = CausalLanguageModel(config=LANGUAGE_MODELS['opt'], tokenizer=str(tmp_path))
    for answer in ANSWERS:
        ids = language.encode_answer(answer, 'Short answer:', 10)
        assert language.encode_prompt('who? Short answer: ' + answer) + [2] == (
            language.encode_prompt('who? Short answer:') + ids
        )
        assert language.tokenizer.decode(ids, skip_special_tokens=True).strip() == answer
    texts = language.generate(torch.randn(2, 3, 16), [[1, 5], [1, 6, 7]], num_beams=2, max_new_tokens=3)
    assert len(texts) == 2  # without a padding token in the tokenizer


def test_precision_and_training_mode(files):
    options = dict(config=LANGUAGE_MODELS['opt'], tokenizer=str(files / 'vocab.txt'))
    frozen = CausalLanguageModel(**options, precision='bfloat16').train()
    assert {parameter.dtype for parameter in frozen.parameters()} == {torch.bfloat16}
    assert not frozen.training and not any(p.requires_grad for p in frozen.parameters())
    assert not hasattr(frozen, 'frozen')  # no file has its random weights: a checkpoint must
    trained = CausalLanguageModel(**options, frozen=False).train()
    assert trained.training and all(p.requires_grad for p in trained.parameters())
    loss = frozen.answer_loss(torch.randn(1, 3, 16), [[2]], [[7, 3]])
    assert loss.dtype == torch.float32


def test_a_folder_of_weights_with_its_tokenizer(files, tmp_path):
    options = dict(config=LANGUAGE_MODELS['llama'], tokenizer=str(files / 'vocab.txt'))
    first = CausalLanguageModel(**options)
    first.model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r'has no tokenizer .*language_model\.tokenizer'):
        CausalLanguageModel(str(tmp_path))
    first.tokenizer.save_pretrained(tmp_path)
    again = CausalLanguageModel(str(tmp_path))
    assert again.frozen is True and again.checkpoint == str(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values()))
    assert again.encode_prompt('what is it') == first.encode_prompt('what is it')


def test_a_tokenizer_of_another_model_is_refused(files, tmp_path):
    cfg = {**LANGUAGE_MODELS['opt'], 'vocab_size': 9, 'pad_token_id': 0}
    CausalLanguageModel(config=cfg).model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match='the language model 9: they are not of one model'):
        CausalLanguageModel(str(tmp_path), tokenizer=str(files / 'vocab.txt'))


def test_bad_input_names_the_remedy(files, tmp_path):
    vocab, cfg = str(files / 'vocab.txt'), LANGUAGE_MODELS['opt']
    language = CausalLanguageModel(config=cfg, tokenizer=vocab)
    with pytest.raises(
        ValueError, match="'a cat' takes 3 tokens with its end, max_new_tokens is 2: raise it"
    ):
        language.encode_answer('a cat', ':', 2)
    with pytest.raises(ValueError, match='it is empty'):
        language.encode_answer(' ', ':', 5)
    with pytest.raises(ValueError, match='70 tokens, the language model has 64 positions: shorten'):
        language.answer_loss(torch.zeros(1, 60, 16), [[2] * 8], [[5, 3]])
    with pytest.raises(ValueError, match='72 tokens'):
        language.generate(torch.zeros(1, 60, 16), [[2] * 8], max_new_tokens=4)
    with pytest.raises(ValueError, match='71 tokens'):
        language.rank(torch.zeros(1, 60, 16), [[2] * 8], [[5, 6, 3]])
    for options, message in (
        (dict(config=cfg), 'needs language_model.tokenizer='),
        (dict(), 'needs pretrained=FOLDER, or config='),
        (dict(config=cfg, tokenizer='nowhere.txt'), "no vocabulary file 'nowhere.txt'.*build_vocab"),
        (dict(config=cfg, tokenizer=str(files / 'answers.txt')), r'lacks \[PAD\]'),
        (dict(config=cfg, tokenizer=vocab, precision='half'), "precision='half'"),
        (dict(config=cfg, tokenizer=vocab, frozen=False, lora={'r': 2}), 'set frozen=True or lora=None'),
        (dict(pretrained=str(tmp_path)), 'has no tokenizer'),
    ):
        with pytest.raises(ValueError, match=message):
            CausalLanguageModel(**options)


def test_adapters(files, tmp_path, monkeypatch):
    options = dict(config=LANGUAGE_MODELS['opt'], tokenizer=str(files / 'vocab.txt'))
    options['lora'] = dict(r=2, target_modules=['q_proj', 'v_proj'], init_lora_weights=False)
    with monkeypatch.context() as context:
        context.setitem(__import__('sys').modules, 'peft', None)
        with pytest.raises(ValueError, match='needs the package peft: pip install peft'):
            CausalLanguageModel(**options)
    pytest.importorskip('peft')
    language = CausalLanguageModel(**options).train()
    trained = {name for name, parameter in language.named_parameters() if parameter.requires_grad}
    assert len(trained) == 2 * 2 * 2 and all('.lora_' in name for name in trained)
    loss = language.answer_loss(torch.randn(1, 3, 16), [[2, 8]], [[7, 3]])
    loss.backward()
    assert all(p.grad is not None for p in language.parameters() if p.requires_grad)
    assert language.rank(torch.randn(1, 3, 16), [[2, 8]], [[7, 3]]).shape == (1, 1)
    first = CausalLanguageModel(**{**options, 'lora': None})
    first.model.save_pretrained(tmp_path)
    again = CausalLanguageModel(str(tmp_path), tokenizer=options['tokenizer'], lora=options['lora'])
    parts = frozen_parts(again)
    saved = {name for name in again.state_dict() if not is_in(name, parts)}
    assert saved == trained  # the adapters alone: the rest is named by the folder
    assert {part['source'] for part in parts.values()} == {str(tmp_path)}
