"""Builds a closed vocabulary: the answers of a training file, the most frequent first, one a line.

Example:
    python tools/dataset_converters/build_answers.py data/train.jsonl data/answers.txt --size 1000
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from stgt_mm.datasets.records import read_records
from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.preparation.annotations.questions import write_answers


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line, counts the answers, writes them."""
    parser = described_parser(__doc__)
    parser.add_argument('train', type=Path, help='JSONL file with the training questions')
    parser.add_argument('answers', type=Path, help='vocabulary to write, an answer a line')
    parser.add_argument('--size', type=int, help='most answers (default: all)')
    covers_help = 'JSONL files of which it is said how many answers are in the vocabulary'
    parser.add_argument('--covers', nargs='+', default=[], type=Path, metavar='FILE', help=covers_help)
    args = parser.parse_args(argv)
    splits = {str(path): read_records(path, ('video', 'question')) for path in (args.train, *args.covers)}
    print('\n'.join(write_answers(splits, args.answers, args.size)))


if __name__ == '__main__':
    sys.exit(run_tool(main))
