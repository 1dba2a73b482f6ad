"""Puts the videos of an annotation file into tar shards with a table of offsets, shards.arrow.

The annotation file stays as it is: a data set reads the shards with video_root=SHARDS, a folder or, once it
is copied there, an address such as s3://bucket/w10m. Files that cannot be read are left out and named. Killed
in the middle, the same command goes on where it was. --check reads all members against their checksums.

Example:
  python tools/dataset_converters/make_shards.py data/w10m/train.jsonl data/w10m/videos data/w10m/shards
  python tools/dataset_converters/make_shards.py --check s3://bucket/webvid2m
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.jobs.options import add_engine_options, engine_of
from stgt_mm.preparation.command_line import resumable
from stgt_mm.preparation.sharding import check_shards, make_shards


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add = parser.add_argument
    add('ann_file', nargs='?', help='annotation file (.jsonl)')
    add('video_root', nargs='?', help='folder that its video paths are relative to')
    add('out', nargs='?', help='folder to write')
    add('--clips', type=int, default=1000, help='members of a shard')
    add_engine_options(parser, time_limit=3600.0)
    add('--restart', action='store_true', help='write all shards again')
    add(
        '--check',
        metavar='SHARDS',
        help='look for damaged members in a folder or at an address; writes nothing',
    )
    args = parser.parse_args(argv)
    if (args.check is None) == (args.out is None):
        parser.error('give ANN_FILE VIDEO_ROOT OUT, or --check SHARDS')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Makes shards, or checks them."""
    args = parse_args(argv)
    engine = engine_of(args)
    with resumable():
        if args.check is not None:
            print(f'{check_shards(args.check, engine):,} members of {args.check} are whole')
            return
        made = make_shards(args.ann_file, args.video_root, args.out, engine, args.clips, args.restart)
    print(f'{made.members:,} members in {made.shards:,} shards in {args.out}, {made.written:,} written now')
    for video, why in made.left_out.items():
        print(f'  left out: {video}: {why}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
