"""Building a WordPiece vocabulary from captions.

Ours: the result of WordPieceTrainer of ``tokenizers`` differs from process to process.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

from tokenizers import normalizers, pre_tokenizers

# those of stgt_mm.models.tokenizer, which preparation does not import
SPECIAL_TOKENS = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')


class _Merger:
    """Words as lists of pieces, and the counts of neighbouring pieces, kept up to date while pieces merge."""

    def __init__(self, words: Counter[str]) -> None:
        self.words = words
        self.pieces = {word: [word[0], *(f'##{c}' for c in word[1:])] for word in words}
        self.used: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._where: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for word in words:
            self._count(word, words[word])
        self._heap = [(-count, pair) for pair, count in self._pairs.items()]
        heapq.heapify(self._heap)

    def _count(self, word: str, change: int) -> set[tuple[str, str]]:
        pieces = self.pieces[word]
        pairs = list(pairwise(pieces))
        for pair in pairs:
            self._pairs[pair] += change
            self._where[pair].add(word)
        for piece in pieces:
            self.used[piece] += change
        return set(pairs)

    def merge_next(self) -> bool:
        """Merges the most frequent pair, of equals the first by the alphabet; False if none is left."""
        while self._heap:
            count, pair = heapq.heappop(self._heap)
            if self._pairs[pair] == -count and count < 0:
                break
        else:
            return False
        merged = pair[0] + pair[1].removeprefix('##')
        changed: set[tuple[str, str]] = set()
        for word in self._where.pop(pair):
            changed |= self._count(word, -self.words[word])
            pieces, position = self.pieces[word], 0
            while position < len(pieces) - 1:
                if (pieces[position], pieces[position + 1]) == pair:
                    pieces[position : position + 2] = [merged]
                position += 1
            changed |= self._count(word, self.words[word])
        for other in changed:
            heapq.heappush(self._heap, (-self._pairs[other], other))
        return True


def train_wordpiece(texts: Iterable[str], size: int, lower_case: bool = True) -> list[str]:
    """Builds a WordPiece vocabulary from captions; the same captions in any order give the same list.

    Frequent neighbours merge, as in byte-pair encoding, and a piece that no word needs any more leaves again:
    few captions get one token a word and none for the way there. Letters and digits are always in. Fewer than
    ``size`` tokens come back when every word has become one; a ``size`` below the characters is a ValueError.
    Their order is that of their ids: special tokens, single characters, then pieces by the alphabet.
    """
    normalizer = normalizers.BertNormalizer(lowercase=lower_case)
    split = pre_tokenizers.BertPreTokenizer()
    words: Counter[str] = Counter()
    for text in texts:
        words.update(word for word, _ in split.pre_tokenize_str(normalizer.normalize_str(text)))
    characters = sorted(set('abcdefghijklmnopqrstuvwxyz0123456789').union(*words))
    fixed = [*SPECIAL_TOKENS, *characters, *(f'##{character}' for character in characters)]
    if size < len(fixed):
        raise ValueError(
            f'size is {size}; the special tokens and characters of these texts take {len(fixed)}.'
        )
    merger, known = _Merger(words), set(fixed)
    learnt: list[str] = []
    while len(learnt) < size - len(fixed) and merger.merge_next():
        learnt = sorted(piece for piece, count in merger.used.items() if count and piece not in known)
    return fixed + learnt
