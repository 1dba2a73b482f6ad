"""Builds a WordPiece vocabulary from the captions of annotation files.

Example:
    python tools/dataset_converters/build_vocab.py data/train.jsonl data/vocab.txt --size 2000
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.io.whole_file import whole_file
from stgt_mm.models.tokenizer import train_wordpiece


def read_texts(path: Path, keys: list[str]) -> Iterator[str]:
    """Yields the texts of a JSONL file.

    Args:
        path: Annotation file, one JSON object a line.
        keys: Which values of a line are texts; a line need not have all.

    Raises:
        ValueError: If a line is not a JSON object; the message gives its number.
    """
    with path.open(encoding='utf-8') as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                yield from (record[key] for key in keys if key in record)
            except (json.JSONDecodeError, TypeError) as error:
                raise ValueError(f'{path}, line {number} is not a JSON object: {error}') from error


def write_vocab(tokens: list[str], path: Path) -> None:
    """Writes one token a line; the file is whole or not there at all.

    Args:
        tokens: Tokens in the order of their ids.
        path: Where to write; its folder is made.
    """
    with whole_file(path) as partial:
        partial.write_text('\n'.join(tokens) + '\n', encoding='utf-8')


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line, builds the vocabulary, writes it."""
    parser = described_parser(__doc__)
    parser.add_argument('annotations', nargs='+', type=Path, help='JSONL files with captions')
    parser.add_argument('vocab', type=Path, help='vocabulary to write, one token a line')
    parser.add_argument('--size', type=int, default=4000, help='most tokens (default: 4000)')
    parser.add_argument(
        '--keys', nargs='+', default=['text'], help="which values are texts (default: 'text')"
    )
    parser.add_argument('--cased', action='store_true', help='keep upper case; set lower_case=False then')
    args = parser.parse_args(argv)
    texts = [text for path in args.annotations for text in read_texts(path, args.keys)]
    if not texts:
        raise ValueError(f'no text under {args.keys} in {", ".join(map(str, args.annotations))}')
    tokens = train_wordpiece(texts, args.size, lower_case=not args.cased)
    write_vocab(tokens, args.vocab)
    print(f'{args.vocab}: {len(tokens)} tokens from {len(texts)} texts')


if __name__ == '__main__':
    sys.exit(run_tool(main))
