"""Makes an annotation file (JSON lines) of WebVid-2M or WebVid-10M.

The table is results_2M_train.csv, results_10M_train.csv or a mirror of it: the columns videoid, page_dir and
name are found by name. A video is expected at VIDEO_ROOT/<page_dir>/<videoid>.mp4. Lines are read and written
one by one.

Example:
  python tools/dataset_converters/webvid.py results_2M_train.csv data/webvid2m/train.jsonl
  with --video-root data/webvid2m/videos, only videos that are there are written
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.datasets.annotations.downloaded import convert
from stgt_mm.datasets.annotations.webvid import webvid_records
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
    parser.add_argument('source', help='the table (.csv)')
    parser.add_argument('out', help='annotation file to write (.jsonl)')
    parser.add_argument(
        '--video-root', help='folder of the videos: lines whose file is not below it are left out and counted'
    )
    parser.add_argument(
        '--layout',
        default='pages',
        help='where a video lies: pages (page_dir/videoid.mp4), flat (videoid.mp4), '
        'or a pattern of {page_dir} and {videoid}',
    )
    parser.add_argument('--max-videos', type=int, metavar='N', help='end after N videos')
    add_traceback_option(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts and says what was left out.

    Args:
        argv: Arguments.
    """
    args = parse_args(argv)
    lines = convert(
        lambda notes: webvid_records(args.source, notes, args.layout),
        args.out,
        args.video_root,
        args.max_videos,
    )
    print('\n'.join(lines))


if __name__ == '__main__':
    sys.exit(run_tool(main))
