"""Tokenizers of causal language models: from a folder of Hugging Face, or a WordPiece vocabulary."""

from pathlib import Path
from typing import Any

from stgt_mm.models.tokenizer import BUILD_COMMAND

# any of these makes a tokenizer; without one AutoTokenizer gives an empty one
_FILES = ('tokenizer.json', 'tokenizer.model', 'vocab.json', 'vocab.txt')


def load_tokenizer(location: str | None) -> Any:
    """Loads the tokenizer of a language model.

    Args:
        location: Folder or Hugging Face name with a tokenizer, or a ``vocab.txt`` (one token a line, as for
            the Q-Former), of which ``[CLS]`` begins a text and ``[SEP]`` ends it.

    Returns:
        A tokenizer of ``transformers``.

    Raises:
        ValueError: If there is none, or it has no token that ends a text; the message says what helps.
    """
    if location is None:
        raise ValueError(
            'a language model with random weights needs language_model.tokenizer=FOLDER_OR_VOCAB.'
        )
    path = Path(location).expanduser()
    if path.suffix == '.txt':
        return _word_piece(path)
    if path.is_dir() and not any((path / name).is_file() for name in _FILES):
        raise ValueError(
            f"the folder '{location}' has no tokenizer (none of {', '.join(_FILES)}): put that of the "
            'language model there, or name its folder as language_model.tokenizer.'
        )
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path) if path.is_dir() else location)
    except Exception as error:  # the hub and the converters of tokenizers fail in a dozen ways
        raise ValueError(
            f"'{location}' gives no tokenizer ({type(error).__name__}: {str(error).splitlines()[0]}). Give "
            f'the folder of one as language_model.tokenizer, or a vocab.txt, made by: {BUILD_COMMAND}'
        ) from error
    if tokenizer.eos_token_id is None:
        raise ValueError(f"the tokenizer '{location}' has no eos_token: set it in its tokenizer_config.json.")
    return tokenizer


def _word_piece(path: Path) -> Any:
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import WordPiece
    from transformers import PreTrainedTokenizerFast

    if not path.is_file():
        raise ValueError(f"there is no vocabulary '{path}' for the language model. Make one: {BUILD_COMMAND}")
    tokens = path.read_text(encoding='utf-8').splitlines()
    model = Tokenizer(WordPiece({token: i for i, token in enumerate(tokens)}, unk_token='[UNK]'))
    model.normalizer = normalizers.BertNormalizer()
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    model.decoder = decoders.WordPiece()
    special = {'pad_token': '[PAD]', 'unk_token': '[UNK]', 'bos_token': '[CLS]', 'eos_token': '[SEP]'}
    missing = [token for token in special.values() if token not in tokens]
    if missing:
        raise ValueError(f'{path} lacks {", ".join(missing)}. Make it again: {BUILD_COMMAND}')
    return PreTrainedTokenizerFast(tokenizer_object=model, **special)
