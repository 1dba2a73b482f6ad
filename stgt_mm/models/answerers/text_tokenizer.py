"""Tokenizers of causal language models: from a folder of Hugging Face, or a WordPiece vocabulary."""

from pathlib import Path
from typing import Any

from stgt_mm.models.tokenizer import BUILD_COMMAND, read_vocab

# any of these makes a tokenizer; without one AutoTokenizer gives an empty one
_FILES = ('tokenizer.json', 'tokenizer.model', 'vocab.json', 'vocab.txt')


def load_tokenizer(location: str | None) -> Any:
    """Loads the tokenizer of a language model, one of ``transformers``.

    ``location`` is a folder or Hugging Face name that has one, or a vocab.txt as for the Q-Former, of which
    ``[CLS]`` begins a text and ``[SEP]`` ends it. One without a token that ends a text is a ValueError.
    """
    if location is None:
        raise ValueError(
            'a language model with random weights needs language_model.tokenizer=FOLDER_OR_VOCAB.'
        )
    path = Path(location).expanduser()
    if path.suffix == '.txt':
        return _word_piece(location)
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


def _word_piece(vocab: str) -> Any:
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import WordPiece
    from transformers import PreTrainedTokenizerFast

    model = Tokenizer(WordPiece(read_vocab(vocab), unk_token='[UNK]'))
    model.normalizer = normalizers.BertNormalizer()
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    model.decoder = decoders.WordPiece()
    special = {'pad_token': '[PAD]', 'unk_token': '[UNK]', 'bos_token': '[CLS]', 'eos_token': '[SEP]'}
    return PreTrainedTokenizerFast(tokenizer_object=model, **special)
