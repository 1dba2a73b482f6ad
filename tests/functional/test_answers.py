import pytest

from stgt_mm.functional.answers import (
    _CONTRACTIONS,
    frequent_answers,
    normalise_answer,
    question_type,
)


@pytest.mark.parametrize(
    ('answer', 'exact', 'basic', 'vqa'),
    [
        ('tenni', 'tenni', 'tenni', 'tenni'),
        ('The Dog.', 'The Dog.', 'dog', 'dog'),
        ('  a  man ', '  a  man ', 'man', 'man'),
        ("don't", "don't", 'dont', "don't"),
        ('dont', 'dont', 'dont', "don't"),
        ("couldnt've", "couldnt've", 'couldntve', "couldn't've"),
        ("somebody'd", "somebody'd", 'somebodyd', 'somebodyd'),
        ('two', 'two', 'two', '2'),
        ('none', 'none', 'none', '0'),
        ('t-shirt', 't-shirt', 'tshirt', 't shirt'),
        ('yes, sir', 'yes, sir', 'yes sir', 'yes sir'),
        ('red/blue', 'red/blue', 'redblue', 'red blue'),
        ('1,000 (men)', '1,000 (men)', '1000 men', '1000 men'),
        ('2.5 m.', '2.5 m.', '25 m', '2.5 m'),
        ('a', 'a', 'a', ''),
        ('man\n', 'man\n', 'man', 'man'),
    ],
)
def test_normalisations(answer, exact, basic, vqa):
    assert normalise_answer(answer, 'exact') == exact
    assert normalise_answer(answer) == normalise_answer(answer, 'basic') == basic
    assert normalise_answer(answer, 'vqa') == vqa


def test_the_contractions_of_the_public_rules_are_all_there():
    # its table has 120 entries; four with a capital letter and two that map to themselves do nothing
    assert len(_CONTRACTIONS) == 114
    assert _CONTRACTIONS["y'alld've"] == _CONTRACTIONS["yall'd've"] == "y'all'd've"
    assert _CONTRACTIONS['twas'] == "'twas" and 'couldntve' not in _CONTRACTIONS


def test_unknown_rules_are_named():
    with pytest.raises(ValueError, match=r"normalisation='fuzzy' .*exact, basic, vqa"):
        normalise_answer('dog', 'fuzzy')


@pytest.mark.parametrize(
    ('question', 'kind'),
    [
        ('What is a man doing?', 'what'),
        ('who runs', 'who'),
        ('how many?', 'how'),
        ('when', 'when'),
        ('Where is it', 'where'),
        ("what's up", 'other'),
        ('is it red?', 'other'),
        ('', 'other'),
    ],
)
def test_the_first_word_is_the_type_of_a_question(question, kind):
    assert question_type(question) == kind


def test_frequent_answers_are_ordered_by_number_and_then_by_place():
    answers = ['cat', 'dog', 'man', 'dog', 'man', 'bird']
    assert frequent_answers(answers) == ['dog', 'man', 'cat', 'bird']
    assert frequent_answers(answers, 3) == ['dog', 'man', 'cat']
    with pytest.raises(ValueError, match='vocabulary of 0 answers is empty'):
        frequent_answers(answers, 0)
    with pytest.raises(ValueError, match='no answers is empty'):
        frequent_answers([])
