"""Builds a WordPiece vocabulary from the captions of annotation files.

Example:
    python tools/dataset_converters/build_vocab.py data/train.jsonl data/vocab.txt --size 2000
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from stgt_mm.datasets.records import read_jsonl
from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.io.whole_file import whole_file
from stgt_mm.preparation.wordpiece import train_wordpiece


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
    records = (record for path in args.annotations for _, record in read_jsonl(path))
    texts = [record[key] for record in records for key in args.keys if key in record]
    if not texts:
        raise ValueError(f'no text under {args.keys} in {", ".join(map(str, args.annotations))}')
    tokens = train_wordpiece(texts, args.size, lower_case=not args.cased)
    with whole_file(args.vocab) as partial:
        partial.write_text('\n'.join(tokens) + '\n', encoding='utf-8')
    print(f'{args.vocab}: {len(tokens)} tokens from {len(texts)} texts')


if __name__ == '__main__':
    sys.exit(run_tool(main))
