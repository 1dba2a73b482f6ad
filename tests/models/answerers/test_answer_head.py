"""The closed vocabulary: its file, unknown answers, and checkpoints of another one."""

import pytest
import torch

from stgt_mm.models import AnswerHead

POOLINGS = pytest.mark.parametrize('pooling', ['mean', 'attention'])


@pytest.fixture
def vocabulary(tmp_path):
    (tmp_path / 'answers.txt').write_text('red\nblue\na cat\n')
    return str(tmp_path / 'answers.txt')


@POOLINGS
def test_unknown_answers_have_weight_zero(vocabulary, pooling):
    head = AnswerHead(4, vocabulary, pooling=pooling)
    logits = head(torch.randn(3, 5, 4))
    known = head.loss(logits[:2], ['blue', 'a cat'])
    losses = head.loss(logits, ['blue', 'a cat', 'green'])
    assert torch.equal(losses['loss_answer'], known['loss_answer'])
    expected = -logits.log_softmax(dim=1)[[0, 1], [1, 2]].mean()
    torch.testing.assert_close(losses['loss_answer'], expected)
    assert float(losses['unknown_answers']) == pytest.approx(1 / 3)
    head.loss(logits, ['x', 'y', 'z'])['loss_answer'].backward()
    assert all(float(parameter.grad.abs().max()) == 0 for parameter in head.parameters())


def test_the_first_answers_and_a_file_that_comes_later(vocabulary, tmp_path):
    assert AnswerHead(4, vocabulary, num_answers=2).answers == ['red', 'blue']
    later = AnswerHead(4, str(tmp_path / 'later.txt'), num_answers=2)
    assert later(torch.zeros(1, 5, 4)).shape == (1, 2)
    with pytest.raises(ValueError, match='no answer vocabulary'):
        later.loss(torch.zeros(1, 2), ['red'])


@pytest.mark.parametrize(
    ('text', 'count', 'message'),
    [
        ('\n\n', None, 'has 0 answers, at least 1 are needed'),
        ('red\n', 2, 'has 1 answers, 2 are needed: .* or lower num_answers'),
        ('red\nblue\nred\n', None, "has 'red' twice"),
    ],
)
def test_a_bad_vocabulary_says_what_helps(tmp_path, text, count, message):
    (tmp_path / 'bad.txt').write_text(text)
    with pytest.raises(ValueError, match=message):
        AnswerHead(4, str(tmp_path / 'bad.txt'), num_answers=count)
    with pytest.raises(ValueError, match='no answer vocabulary'):
        AnswerHead(4, 'nowhere.txt')
    with pytest.raises(ValueError, match="pooling is 'max'"):
        AnswerHead(4, 'nowhere.txt', pooling='max')


def test_a_checkpoint_of_another_vocabulary_is_refused(vocabulary, tmp_path):
    (tmp_path / 'other.txt').write_text('blue\nred\na cat\n')
    state = AnswerHead(4, vocabulary).state_dict()
    AnswerHead(4, vocabulary).load_state_dict(state)
    with pytest.raises(ValueError, match=r'another vocabulary .*the same names in the same order'):
        AnswerHead(4, str(tmp_path / 'other.txt')).load_state_dict(state)
