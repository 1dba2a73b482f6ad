"""When two answers are the same: named normalisations, and the types of questions."""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable

QUESTION_TYPES = ('what', 'who', 'how', 'when', 'where')
OTHER = 'other'
_ARTICLES = {'a', 'an', 'the'}
_NO_PUNCTUATION = str.maketrans('', '', string.punctuation)
_VQA_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_DIGITS = dict(none='0', zero='0', one='1', two='2', three='3', four='4', five='5', six='6', seven='7')
_DIGITS |= dict(eight='8', nine='9', ten='10')
_CONTRACTED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
    haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've
    might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
    shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
    someone's something'd something'd've something'll that's there'd there'd've there're there's they'd
    they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've
    when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
    would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""
# one apostrophe is missing; the last entry is the other way round in the public rules, too
_CONTRACTIONS = {
    word[:place] + word[place + 1 :]: word
    for word in _CONTRACTED.split()
    for place, letter in enumerate(word)
    if letter == "'"
} | {"somebody'd": 'somebodyd'}


def normalise_answer(answer: str, rules: str = 'basic') -> str:
    """Writes an answer in the form in which answers are compared.

    Badly stemmed answers of the public sets ('tenni', 'dres') stay as they are.

    Source: ``vqa`` follows the evaluation of VQA (Antol et al., ICCV 2015) that public code shares.

    Args:
        answer: An answer.
        rules: ``'exact'`` changes nothing; ``'basic'`` drops case, punctuation, articles (unless nothing else
            is there) and repeated blanks; ``'vqa'`` also writes numbers up to ten as digits and contractions
            with their apostrophe, and drops a period unless a digit follows.

    Returns:
        The answer to compare.

    Raises:
        ValueError: If there are no such rules.

    Example:
        >>> from stgt_mm.functional.answers import normalise_answer
        >>> normalise_answer('The Dog.'), normalise_answer('two dogs, dont', 'vqa')
        ('dog', "2 dogs don't")
    """
    if rules not in NORMALISATIONS:
        raise ValueError(f"normalisation='{rules}' is unknown. Use one of {', '.join(NORMALISATIONS)}.")
    return NORMALISATIONS[rules](answer)


def _basic(answer: str) -> str:
    words = answer.lower().translate(_NO_PUNCTUATION).split()
    return ' '.join([word for word in words if word not in _ARTICLES] or words)


def _vqa(answer: str) -> str:
    answer = answer.replace('\n', ' ').replace('\t', ' ').strip()
    numeric = re.search(r'\d,\d', answer) is not None
    plain = answer
    for mark in _VQA_PUNCTUATION:
        # a mark inside a word separates two, but in an answer like '1,000 (people)' all marks go
        at_word_end = f'{mark} ' in answer or f' {mark}' in answer
        plain = plain.replace(mark, '' if at_word_end or numeric else ' ')
    words = (_DIGITS.get(word, word) for word in re.sub(r'\.(?!\d)', '', plain).lower().split())
    return ' '.join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


NORMALISATIONS: dict[str, Callable[[str], str]] = {'exact': str, 'basic': _basic, 'vqa': _vqa}


def question_type(question: str) -> str:
    """Names the type of a question by its first word, as the public sets count them.

    Args:
        question: A question in English.

    Returns:
        One of ``QUESTION_TYPES``, or ``'other'``.

    Example:
        >>> from stgt_mm.functional.answers import question_type
        >>> question_type('What is he doing?'), question_type('is he running?')
        ('what', 'other')
    """
    first = question.lower().split(maxsplit=1)[:1]
    return first[0] if first and first[0] in QUESTION_TYPES else OTHER


def frequent_answers(answers: Iterable[str], size: int | None = None) -> list[str]:
    """Makes a closed vocabulary: the most frequent answers first, equally frequent ones as they appear.

    Args:
        answers: Of all training questions.
        size: Answers to keep; None keeps all.

    Returns:
        At most ``size`` answers.

    Raises:
        ValueError: If ``size`` is below 1, or there is no answer.

    Example:
        >>> from stgt_mm.functional.answers import frequent_answers
        >>> frequent_answers(['dog', 'man', 'man', 'cat'], size=2)
        ['man', 'dog']
    """
    if size is not None and size < 1:
        raise ValueError(f'a vocabulary of {size} answers is empty: use at least 1.')
    found = [answer for answer, _ in Counter(answers).most_common(size)]
    if not found:
        raise ValueError('a vocabulary of no answers is empty: give the answers of the training split.')
    return found
