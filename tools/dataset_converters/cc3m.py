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
from stgt_mm.preparation.annotations.cc3m import FIELDS, LAYOUTS, SHARD_SIZE, cc3m_records
from stgt_mm.preparation.command_line import list_parser, run_conversion


def main(argv: Sequence[str] | None = None) -> None:
    """Converts and says what was left out."""
    parser = list_parser(__doc__, 'the list (.tsv)', LAYOUTS, FIELDS, '--image-root')
    size_help = 'number_sample_per_shard of img2dataset, its default 10000'
    parser.add_argument('--shard-size', type=int, default=SHARD_SIZE, help=size_help)
    args = parser.parse_args(argv)
    run_conversion(args, lambda notes: cc3m_records(args.source, notes, args.layout, args.shard_size))


if __name__ == '__main__':
    sys.exit(run_tool(main))
