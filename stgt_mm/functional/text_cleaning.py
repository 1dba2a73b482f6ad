"""The cleaning of captions before they are tokenised."""

import re

_PUNCTUATION = re.compile(r'[.!"()*#:;~]')


def clean_caption(text: str, max_words: int = 50) -> str:
    """Lower-cases a caption, replaces punctuation by spaces and limits its words.

    Source: the caption processor of LAVIS (arXiv 2209.09019), which the STGT release uses as well.

    Args:
        text: A caption.
        max_words: Words kept, at least 1; what follows is cut off.

    Returns:
        The cleaned caption, words separated by one space.

    Raises:
        ValueError: If ``max_words`` is below 1.

    Example:
        >>> from stgt_mm.functional.text_cleaning import clean_caption
        >>> clean_caption('A man plays: the "Guitar"!', max_words=4)
        'a man plays the'
    """
    if max_words < 1:
        raise ValueError(f'max_words={max_words} leaves no text: use at least 1.')
    return ' '.join(_PUNCTUATION.sub(' ', text.lower()).split()[:max_words])
