"""Makes annotation files (JSON lines) from those of DiDeMo.

The folder holds train_data.json, val_data.json, test_data.json and the lists ce_train_list.txt (or
train_list.txt) and so on; what is absent leaves its split out. A video gets one paragraph.

Example:
  python tools/dataset_converters/didemo.py downloads/didemo data/didemo --video-root data/didemo/videos
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.datasets.annotations import didemo
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
    add_converter_options(parser, tuple(didemo.NEEDS), didemo.SUFFIX)
    add_traceback_option(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts and says what was written and met.

    Args:
        argv: Arguments.
    """
    args = parse_args(argv)
    notes, files = Notes(), VideoFiles(args.video_root, args.suffix)
    splits = didemo.read_splits(args.source, args.splits, files, notes)
    print('\n'.join(write_splits(splits, args.out, files, notes, didemo.PUBLISHED)))


if __name__ == '__main__':
    sys.exit(run_tool(main))
