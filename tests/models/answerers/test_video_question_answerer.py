"""The question answerer: three ways behind one interface, what trains, what checkpoints hold, bad input."""

import pytest
import torch
from safetensors.torch import save_file
from tiny_answerer import ANSWERS, QUESTIONS, TRUTHS, build, config, inputs, samples, write_files

from stgt_mm.engine.checkpoint.weights import frozen_parts, is_in, load_weights
from stgt_mm.engine.errors import CheckpointError
from stgt_mm.models import VideoQuestionAnswerer
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample

MODES = pytest.mark.parametrize('mode', ['classify', 'generate', 'rank'])


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp('answerer'))


@pytest.mark.parametrize(
    ('mode', 'changes'),
    [
        ('classify', {}),
        ('generate', {}),
        ('generate', {'condition_on_question': True}),
        ('rank', {'trainable': ('neck', 'vision_norm', 'qformer', 'projection')}),
        ('rank', {'trainable': ('projection',), 'condition_on_question': True}),
    ],
)
def test_all_that_trains_gets_a_gradient_and_nothing_else(files, mode, changes):
    """DistributedDataParallel waits for every parameter that trains."""
    model = build(files, mode=mode, **changes).train()
    losses = model(inputs(), samples(), mode='loss')
    losses['loss_answer'].backward()
    trained = {name.split('.')[0] for name, p in model.named_parameters() if p.requires_grad}
    wanted = set(changes.get('trainable', ('qformer', 'projection')))
    assert trained == (wanted if mode != 'classify' else {'qformer', 'answer_head'})
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    for part in ('backbone', 'neck', 'vision_norm', 'language_model', 'qformer'):
        if getattr(model, part) is not None:
            assert getattr(model, part).training == (part in trained), part


@MODES
def test_an_answerer_without_a_question_in_the_q_former_has_no_text_side(files, mode):
    keys = build(files, mode=mode).state_dict()
    text = [key for key in keys if key.startswith('qformer.') and ('text_' in key or 'words' in key)]
    assert bool(text) == (mode == 'classify')
    assert not any('causal_head' in key for key in keys)
    assert not any('qformer.layers.1.text_' in key for key in keys)  # of the last layer: read by nothing


@MODES
def test_predictions_are_the_best_answers(files, mode):
    model = build(files, mode=mode).eval()
    found = model.answer(inputs(), QUESTIONS, k=4)
    assert [len(answers) for answers in found] == [4, 4, 4]
    for answers in found:
        scores = [score for _, score in answers]
        assert scores == sorted(scores, reverse=True)
        assert all(isinstance(text, str) and isinstance(score, float) for text, score in answers)
    best = model.answer(inputs(), QUESTIONS, k=1)
    given = samples()
    assert model(inputs(), given, mode='predict') is given
    for sample, ((text, score),) in zip(given, best):
        assert (sample.prediction, sample.mode) == (text, mode)
        assert sample.score == pytest.approx(score, abs=1e-5)
    if mode != 'generate':
        assert {text for text, _ in found[0]} <= set(ANSWERS)
        assert len(model.answer(inputs(), QUESTIONS, k=99)[0]) == len(ANSWERS)


@MODES
def test_the_protocol_says_how_answers_are_found(files, mode):
    protocol = build(files, mode=mode).protocol
    assert protocol['mode'] == mode and protocol['condition_on_question'] == (mode == 'classify')
    assert protocol.get('vocabulary_size') == (None if mode == 'generate' else len(ANSWERS))
    assert protocol.get('prompt') == (None if mode == 'classify' else 'Question: {question} Short answer:')
    wanted = {'num_beams': 5, 'max_new_tokens': 10, 'length_penalty': -1.0}
    assert {key: protocol[key] for key in wanted if key in protocol} == (wanted if mode == 'generate' else {})


@MODES
def test_it_learns_what_is_asked_of_which_video(files, mode):
    """Two questions on each of two videos, four answers; a random language model trains along."""
    options = {} if mode == 'classify' else {'condition_on_question': True}
    if mode != 'classify':
        options['language_model'] = {**config(files, mode)['language_model'], 'frozen': False}
    model = build(files, mode=mode, **options).train()
    tokens = {'tokens': inputs(2)['tokens'].repeat_interleave(2, dim=0)}
    questions = ['what colour is it?', 'who runs?'] * 2
    truths = ['red', 'dog', 'dark blue', 'a cat']
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(150):
        loss = model.loss(tokens, samples(questions, truths))['loss_answer']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.02:
            break
    found = model.eval().answer(tokens, questions, k=1)
    assert [answers[0][0] for answers in found] == truths


def test_captions_are_answers_to_no_question(files):
    model = build(files, task='caption').eval()
    texts = ['A red dog!', 'dark blue', 'who runs']
    given = [VideoTextSample(metainfo=dict(video_id=f'v{i}', text=text)) for i, text in enumerate(texts)]
    asked = build(files, prompt='a photo of').eval()
    loss = asked.loss(inputs(), samples([''] * 3, ['a red dog', *texts[1:]]))['loss_answer']
    assert torch.equal(model.loss(inputs(), given)['loss_answer'], loss)
    options = {'max_new_tokens': 30, 'length_penalty': 1.0}
    assert model.caption(inputs()) == [
        best
        for (best,) in build(files, prompt='a photo of', **options).eval().answer(inputs(), [''] * 3, k=1)
    ]
    found = model(inputs(), given, mode='predict')
    assert [(sample.prediction, sample.score) for sample in found] == model.caption(inputs())
    wanted = {'task': 'caption', 'mode': 'generate', 'prompt': 'a photo of', 'num_beams': 5} | options
    assert {key: model.protocol[key] for key in wanted} == wanted
    end = model.language_model.tokenizer.eos_token_id
    long, short = build(files, task='caption', max_new_tokens=3)._encode_answers(['a red dog runs', 'red'])
    assert len(long) == 3 and end not in long and short[-1] == end


@pytest.fixture(scope='module')
def start(files, tmp_path_factory):
    """Weights of another answerer, with the name of a part that this one has not."""
    path = tmp_path_factory.mktemp('start') / 'aligner.safetensors'
    state = build(files, mode='classify', seed=5).state_dict()
    state = {key: value for key, value in state.items() if key.startswith(('neck', 'vision_norm', 'qformer'))}
    save_file({**state, 'contrastive_head.temp': torch.zeros(())}, path)
    return path


@MODES
def test_frozen_parts_are_named_by_their_file_and_hash(files, start, mode):
    model = build(files, mode=mode, checkpoint=str(start))
    parts = frozen_parts(model)
    assert {'neck', 'vision_norm', 'backbone'} == set(parts)
    assert parts['neck']['source'] == parts['vision_norm']['source'] == str(start)
    state = {key: value for key, value in model.state_dict().items() if not is_in(key, parts)}
    again = build(files, mode=mode, checkpoint=str(start), seed=7)
    again.backbone.load_state_dict(model.backbone.state_dict())  # which would have a file too
    assert load_weights(again, {'state_dict': state, 'frozen': parts}, 'epoch_1.pth') == []
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_what_has_no_file_of_its_own_is_in_the_checkpoint(files):
    assert set(frozen_parts(build(files, mode='generate'))) == {'backbone'}


def test_a_language_model_from_a_folder_is_named_and_not_saved(files, tmp_path):
    model = build(files, mode='rank')
    model.language_model.model.save_pretrained(tmp_path)
    model.language_model.tokenizer.save_pretrained(tmp_path)
    cfg = dict(type='CausalLanguageModel', pretrained=str(tmp_path))
    again = MODELS.build(config(files, mode='rank', language_model=cfg))
    assert frozen_parts(again)['language_model']['source'] == str(tmp_path)


def test_a_start_that_does_not_fit_says_what(files, start, tmp_path):
    with pytest.raises(ValueError, match=r'qformer\.embeddings\.queries: .* in the file'):
        build(files, checkpoint=str(start), qformer={**config(files)['qformer'], 'num_queries': 4})
    save_file({'contrastive_head.temp': torch.zeros(())}, tmp_path / 'none.safetensors')
    with pytest.raises(ValueError, match='nothing of neck, which is frozen; add it to trainable'):
        build(files, checkpoint=str(tmp_path / 'none.safetensors'))
    state = {'qformer.x': torch.zeros(1), 'projection.weight': torch.zeros(4, 8)}
    save_file(state, tmp_path / 'other.safetensors')
    with pytest.raises(ValueError, match=r'projection.weight: \[4, 8\] in the file, \[16, 8\]'):
        build(files, checkpoint=str(tmp_path / 'other.safetensors'))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'mode': 'beam'}, "mode='beam'"),
        ({'mode': 'classify', 'answer_head': None}, "mode='classify' needs answer_head"),
        ({'mode': 'rank', 'language_model': None}, "mode='rank' needs language_model"),
        ({'mode': 'rank', 'answer_head': {}}, 'and answer_head=None'),
        ({'mode': 'rank', 'candidates': None}, 'needs candidates=FILE'),
        ({'mode': 'classify', 'condition_on_question': False}, 'needs condition_on_question=True'),
        ({'task': 'captions'}, "task='captions'. Did you mean 'caption'"),
        ({'task': 'caption', 'prompt': 'What of {question}'}, "task='caption' has no question"),
        (
            {'task': 'caption', 'condition_on_question': True},
            'needs mode=.generate., condition_on_question=False',
        ),
        ({'trainable': ('q_former',)}, "no part 'q_former'. Did you mean 'qformer'"),
    ],
)
def test_options_that_do_not_go_together(files, changes, message):
    with pytest.raises(ValueError, match=message):
        VideoQuestionAnswerer(**{k: v for k, v in config(files, **changes).items() if k != 'type'})


@pytest.mark.parametrize(
    ('mode', 'words'),
    [
        ('classify', 'answer vocabulary, of 2 answers here, .*answer_head.vocabulary'),
        ('generate', 'language model, of width 8 here, .*language_model.pretrained'),
    ],
)
def test_a_checkpoint_made_for_something_else_says_for_what(files, tmp_path, mode, words):
    state = {'state_dict': build(files, mode=mode).state_dict()}
    cfg = config(files, mode)
    if mode == 'classify':
        (tmp_path / 'two.txt').write_text('red\ndog\n')
        cfg['answer_head']['vocabulary'] = str(tmp_path / 'two.txt')
    else:
        small = dict(hidden_size=8, word_embed_proj_dim=8)
        cfg['language_model']['config'] = {**cfg['language_model']['config'], **small}
    with pytest.raises(CheckpointError, match=words):
        load_weights(MODELS.build(cfg), state, 'a.pth')


def test_bad_samples_and_candidates(files, tmp_path):
    model = build(files, mode='generate', max_new_tokens=2)
    with pytest.raises(ValueError, match="task='answer': to caption, build the model with task='caption'"):
        model.caption(inputs())
    captioner = build(files, task='caption')
    with pytest.raises(ValueError, match="task='caption' reads no question"):
        captioner.answer(inputs(), QUESTIONS)
    with pytest.raises(ValueError, match='3 samples have no text, the first is 0: write "text"'):
        captioner.loss(inputs(), samples())
    unanswered = samples()
    del unanswered[1].answer
    with pytest.raises(ValueError, match='1 samples have no answer, the first is 1: write "answer"'):
        model.loss(inputs(), unanswered)
    with pytest.raises(ValueError, match="'dark blue' takes 3 tokens with its end, max_new_tokens is 2"):
        model.loss(inputs(), samples())
    del unanswered[0].question
    with pytest.raises(ValueError, match='no question'):
        model.predict(inputs(), unanswered)
    for name, message in (('nowhere.txt', 'there is no answer vocabulary'), ('empty.txt', 'has 0 answers')):
        (tmp_path / 'empty.txt').write_text('\n')
        with pytest.raises(ValueError, match=message):
            build(files, mode='rank', candidates=str(tmp_path / name)).eval().answer(inputs(), TRUTHS)
