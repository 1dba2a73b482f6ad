"""Makes an annotation file (JSON lines) of VIDAL-10M.

The file is one JSON object, an entry a YouTube id, with several captions in each. A video is expected at
VIDEO_ROOT/<folder>/<youtube_id>.mp4. Entries are read and written one by one.

Example:
  python tools/dataset_converters/vidal.py CAPTIONS.json data/vidal10m/train_4m.jsonl --max-videos 4000000
  with --video-root data/vidal10m/videos, only videos that are there are written and counted
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.datasets.annotations.downloaded import convert
from stgt_mm.datasets.annotations.vidal import CAPTIONS, vidal_records
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
    parser.add_argument('source', help='the captions (.json)')
    parser.add_argument('out', help='annotation file to write (.jsonl)')
    parser.add_argument(
        '--caption',
        choices=CAPTIONS,
        default=CAPTIONS[0],
        help='which text; ofa: each different one of eight',
    )
    parser.add_argument(
        '--video-root', help='folder of the videos: lines whose file is not below it are left out and counted'
    )
    parser.add_argument(
        '--layout',
        default='folders',
        help='where a video lies: folders (folder/youtube_id.mp4), flat (youtube_id.mp4), '
        'or a pattern of {folder} and {youtube_id}',
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
        lambda notes: vidal_records(args.source, notes, args.caption, args.layout),
        args.out,
        args.video_root,
        args.max_videos,
    )
    print('\n'.join(lines))


if __name__ == '__main__':
    sys.exit(run_tool(main))
