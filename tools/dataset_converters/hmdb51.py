"""Makes annotation files (JSON lines) from the split files of HMDB51.

The folder (``testTrainMulti_7030_splits``) holds brush_hair_test_split1.txt and so on, 51 files a split; a
split of which one is absent is left out. ``actions.txt`` has the names of the actions.

Example:
  python tools/dataset_converters/hmdb51.py downloads/hmdb51 data/hmdb51 --video-root data/hmdb51/videos
"""

import sys

from stgt_mm.engine.cli import run_tool
from stgt_mm.preparation.annotations import hmdb51
from stgt_mm.preparation.command_line import split_converter

main = split_converter(__doc__, hmdb51, subject='action')

if __name__ == '__main__':
    sys.exit(run_tool(main))
