"""BERT WordPiece with ``[DEC]``, from a vocabulary file or a Hugging Face name."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from torch import Tensor

from stgt_mm.registry import TOKENIZERS

# A batch of captions is too little work for threads, and threads make forked data workers print warnings.
os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')

SPECIAL_TOKENS = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')
BUILD_COMMAND = 'python tools/dataset_converters/build_vocab.py ANNOTATION.jsonl vocab.txt'


def _vocab_file(vocab: str) -> Path:
    """Finds the vocabulary: a file as it is, a Hugging Face name through the hub's cache or the network."""
    path = Path(vocab).expanduser()
    if path.is_file():
        return path
    if path.suffix or path.is_absolute() or vocab.count('/') > 1:
        raise ValueError(
            f"there is no vocabulary file '{vocab}' (working directory {Path.cwd()}). Make one with: "
            f'{BUILD_COMMAND}. Moving Shapes brings its own: python '
            'tools/dataset_converters/moving_shapes.py data/moving_shapes'
        )
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(vocab, 'vocab.txt'))
    except Exception as error:
        raise ValueError(
            f"'{vocab}' is neither a file nor a Hugging Face repository whose vocab.txt can be had "
            f'({type(error).__name__}: {str(error).splitlines()[0]}). Without network give the path of a '
            f'vocab.txt; for a small vocabulary of your own: {BUILD_COMMAND}'
        ) from error


def read_vocab(vocab: str) -> dict[str, int]:
    """Reads the ids of the tokens of a vocab.txt, given as in :class:`WordPieceTokenizer`."""
    path = _vocab_file(vocab)
    tokens = path.read_text(encoding='utf-8').splitlines()
    vocab = {token: index for index, token in enumerate(tokens)}
    if len(vocab) != len(tokens):
        raise ValueError(
            f'{path} lists {len(tokens) - len(vocab)} tokens twice. Make it again: {BUILD_COMMAND}'
        )
    missing = [token for token in SPECIAL_TOKENS[:4] if token not in vocab]
    if missing:
        raise ValueError(f'{path} lacks {", ".join(missing)}. Make it again: {BUILD_COMMAND}')
    return vocab


@TOKENIZERS.register_module()
class WordPieceTokenizer:
    """Turns captions into padded token ids: ``[CLS] words [SEP]``, cut on the right.

    ``[DEC]``, with which a caption starts when it is to be generated, gets the last id. What has been encoded
    is kept, so that captions seen again cost a dictionary look-up.

    Args:
        vocab: Path of a vocab.txt (one token a line), or the name of a Hugging Face repository that has one.
        max_length: Most tokens of a text, ``[CLS]`` and ``[SEP]`` included.
        lower_case: Whether the vocabulary is lower case.
        cache_size: How many encoded texts are kept; the one unused for longest leaves first.

    Raises:
        ValueError: If the vocabulary cannot be had or lacks a special token; the message says what helps.

    Source: BERT (arXiv 1810.04805) for WordPiece, BLIP-2 (arXiv 2301.12597) for ``[DEC]``.
    """

    def __init__(
        self, vocab: str, max_length: int = 32, lower_case: bool = True, cache_size: int = 200_000
    ) -> None:
        if max_length < 3:
            raise ValueError(f'max_length is {max_length}; [CLS], one word and [SEP] need at least 3.')
        if cache_size < 0:
            raise ValueError(f'cache_size is {cache_size}; 0 keeps nothing, a negative one has no meaning.')
        table = read_vocab(str(vocab))
        table.setdefault('[DEC]', len(table))
        self.max_length = max_length
        self.vocab_size = len(table)
        self.pad_id, self.cls_id, self.sep_id, self.dec_id = (
            table[token] for token in ('[PAD]', '[CLS]', '[SEP]', '[DEC]')
        )
        self._special = {table[token] for token in (*SPECIAL_TOKENS, '[DEC]') if token in table}
        self._special.discard(table['[UNK]'])
        self._encode = lru_cache(cache_size)(self._encode)
        # not tokenizers.BertWordPieceTokenizer: it reads '[SEP]' in a caption as the special token
        self._model = Tokenizer(WordPiece(table, unk_token='[UNK]', max_input_chars_per_word=100))
        self._model.normalizer = normalizers.BertNormalizer(lowercase=lower_case)
        self._model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._model.post_processor = processors.BertProcessing(('[SEP]', self.sep_id), ('[CLS]', self.cls_id))
        self._model.decoder = decoders.WordPiece()
        self._model.enable_truncation(max_length)

    def _encode(self, text: str) -> np.ndarray:
        return np.array(self._model.encode(text).ids, dtype=np.int64)

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encodes K captions as int64 ids (K, L), padded to the longest, and the mask, False where padded."""
        if isinstance(texts, str) or not len(texts):
            raise ValueError(f'texts must be a list with at least one caption, got {texts!r}.')
        rows = [self._encode(text) for text in texts]
        lengths = np.array([len(row) for row in rows])
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(mask.shape, self.pad_id, dtype=np.int64)
        ids[mask] = np.concatenate(rows)
        return torch.from_numpy(ids), torch.from_numpy(mask)

    def decode(self, ids: Tensor | Sequence[int]) -> str | list[str]:
        """Turns ids (L,) or (K, L) into one or K texts, up to the first ``[SEP]``, without special tokens."""
        values = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        if values and isinstance(values[0], list):
            return [self.decode(row) for row in values]
        if self.sep_id in values:
            values = values[: values.index(self.sep_id)]
        return self._model.decode([value for value in values if value not in self._special])
