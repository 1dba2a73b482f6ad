"""Makes an annotation file (JSON lines) of WebVid-2M or WebVid-10M.

The table is results_2M_train.csv, results_10M_train.csv or a mirror of it: the columns videoid, page_dir and
name are found by name. A video is expected at VIDEO_ROOT/<page_dir>/<videoid>.mp4. Lines are read and written
one by one.

Example:
  python tools/dataset_converters/webvid.py results_2M_train.csv data/webvid2m/train.jsonl
  with --video-root data/webvid2m/videos, only videos that are there are written
"""

import sys
from collections.abc import Sequence

from stgt_mm.engine.cli import run_tool
from stgt_mm.preparation.annotations.webvid import FIELDS, LAYOUTS, webvid_records
from stgt_mm.preparation.command_line import list_parser, run_conversion


def main(argv: Sequence[str] | None = None) -> None:
    """Converts and says what was left out."""
    args = list_parser(__doc__, 'the table (.csv)', LAYOUTS, FIELDS).parse_args(argv)
    run_conversion(args, lambda notes: webvid_records(args.source, notes, args.layout))


if __name__ == '__main__':
    sys.exit(run_tool(main))
