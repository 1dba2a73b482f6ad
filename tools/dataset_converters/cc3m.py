"""Makes an annotation file (JSON lines) of CC3M, images with captions.

The list is Train_GCC-training.tsv: caption TAB address, with or without a header. Where an image lies follows
from its line, so use the list that the images were fetched with. The annotation file names it as the video.

Example:
  python tools/dataset_converters/cc3m.py Train_GCC-training.tsv data/cc3m/train.jsonl
  with --image-root data/cc3m/images, only images that are there are written
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.datasets.annotations.cc3m import SHARD, cc3m_records
from stgt_mm.datasets.annotations.downloaded import convert
from stgt_mm.engine.cli import add_traceback_option, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line.

    Args:
        argv: Arguments.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='the list (.tsv)')
    parser.add_argument('out', help='annotation file to write (.jsonl)')
    parser.add_argument(
        '--shard-size',
        type=int,
        default=SHARD,
        help='number_sample_per_shard of img2dataset, its default 10000',
    )
    parser.add_argument(
        '--image-root', help='folder of the images: lines whose file is not below it are left out and counted'
    )
    parser.add_argument(
        '--layout',
        default='img2dataset',
        help='where an image lies: img2dataset (00000/000000017.jpg), row (17.jpg), '
        'lavis (17_<crc32 of the address>.jpg), or a pattern of {row}, {shard}, {key} and {crc32}',
    )
    parser.add_argument('--max-videos', type=int, metavar='N', help='end after N images')
    add_traceback_option(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts and says what was left out.

    Args:
        argv: Arguments.
    """
    args = parse_args(argv)
    lines = convert(
        lambda notes: cc3m_records(args.source, notes, args.layout, args.shard_size),
        args.out,
        args.image_root,
        args.max_videos,
    )
    print('\n'.join(lines))


if __name__ == '__main__':
    sys.exit(run_tool(main))
