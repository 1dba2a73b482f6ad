"""Makes an annotation file (JSON lines) of CC3M, images with captions.

The list is Train_GCC-training.tsv: caption TAB address, with or without a header. Where an image lies follows
from its line, so use the list that the images were fetched with. The annotation file names it as the video.

Example:
  python tools/dataset_converters/cc3m.py Train_GCC-training.tsv data/cc3m/train.jsonl
  with --image-root data/cc3m/images, only images that are there are written
"""

import sys
from collections.abc import Sequence

from stgt_mm.engine.cli import run_tool
from stgt_mm.preparation.annotations.cc3m import SHARD, cc3m_records
from stgt_mm.preparation.command_line import convert_list, list_parser

LAYOUTS = (
    'img2dataset (00000/000000017.jpg)',
    'row (17.jpg)',
    'lavis (17_<crc32 of the address>.jpg)',
    '{row}, {shard}, {key} and {crc32}',
)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts and says what was left out."""
    parser = list_parser(__doc__, 'the list (.tsv)', LAYOUTS, '--image-root')
    parser.add_argument(
        '--shard-size',
        type=int,
        default=SHARD,
        help='number_sample_per_shard of img2dataset, its default 10000',
    )
    args = parser.parse_args(argv)
    convert_list(args, lambda notes: cc3m_records(args.source, notes, args.layout, args.shard_size))


if __name__ == '__main__':
    sys.exit(run_tool(main))
