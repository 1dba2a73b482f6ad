"""Makes an annotation file (JSON lines) of VIDAL-10M.

The file is one JSON object, an entry a YouTube id, with several captions in each. A video is expected at
VIDEO_ROOT/<folder>/<youtube_id>.mp4. Entries are read and written one by one.

Example:
  python tools/dataset_converters/vidal.py CAPTIONS.json data/vidal10m/train_4m.jsonl --max-videos 4000000
  with --video-root data/vidal10m/videos, only videos that are there are written and counted
"""

import sys
from collections.abc import Sequence

from stgt_mm.engine.cli import run_tool
from stgt_mm.preparation.annotations.vidal import CAPTIONS, FIELDS, LAYOUTS, vidal_records
from stgt_mm.preparation.command_line import list_parser, run_conversion


def main(argv: Sequence[str] | None = None) -> None:
    """Converts and says what was left out."""
    parser = list_parser(__doc__, 'the captions (.json)', LAYOUTS, FIELDS)
    caption_help = 'which text; ofa: each different one of eight'
    parser.add_argument('--caption', choices=CAPTIONS, default=CAPTIONS[0], help=caption_help)
    args = parser.parse_args(argv)
    run_conversion(args, lambda notes: vidal_records(args.source, notes, args.caption, args.layout))


if __name__ == '__main__':
    sys.exit(run_tool(main))
