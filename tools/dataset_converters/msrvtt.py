"""Makes annotation files (JSON lines) from those of MSR-VTT.

The folder holds MSRVTT_data.json (or train_val_videodatainfo.json and test_videodatainfo.json),
MSRVTT_JSFUSION_test.csv, MSRVTT_train.9k.csv and MSRVTT_train.7k.csv; what is absent leaves its split out.

Example:
  python tools/dataset_converters/msrvtt.py downloads/msrvtt data/msrvtt --video-root data/msrvtt/videos
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.datasets.annotations import msrvtt
from stgt_mm.datasets.annotations.common import Notes
from stgt_mm.datasets.annotations.splits import write_splits
from stgt_mm.datasets.annotations.video_files import VideoFiles
from stgt_mm.engine.cli import add_converter_options, add_traceback_option, described_parser, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line.

    Args:
        argv: Arguments.

    Returns:
        The options.
    """
    parser = described_parser(__doc__)
    add_converter_options(parser, tuple(msrvtt.NEEDS), msrvtt.SUFFIX)
    add_traceback_option(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts and says what was written and met.

    Args:
        argv: Arguments.
    """
    args = parse_args(argv)
    notes, files = Notes(), VideoFiles(args.video_root, args.suffix)
    splits = msrvtt.read_splits(args.source, args.splits, files, notes)
    print('\n'.join(write_splits(splits, args.out, files, notes, msrvtt.PUBLISHED)))


if __name__ == '__main__':
    sys.exit(run_tool(main))
