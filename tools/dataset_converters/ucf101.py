"""Makes annotation files (JSON lines) from the split files of UCF101.

The folder (``ucfTrainTestlist``) holds classInd.txt, trainlist01.txt, testlist01.txt and so on; a split of
which a list is absent is left out. ``actions.txt`` has the names of the actions.

Example:
  python tools/dataset_converters/ucf101.py downloads/ucf101 data/ucf101 --video-root data/ucf101/videos
"""

import sys

from stgt_mm.engine.cli import run_tool
from stgt_mm.preparation.annotations import ucf101
from stgt_mm.preparation.command_line import split_converter

main = split_converter(__doc__, ucf101, subject='action')

if __name__ == '__main__':
    sys.exit(run_tool(main))
