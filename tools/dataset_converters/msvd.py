"""Makes annotation files (JSON lines) from those of MSVD.

The folder holds captions_msvd.json or raw-captions.pkl, and train_list.txt, val_list.txt, test_list.txt;
what is absent leaves its split out.

Example:
  python tools/dataset_converters/msvd.py downloads/msvd data/msvd --video-root data/msvd/videos
"""

import sys

from stgt_mm.engine.cli import run_tool
from stgt_mm.preparation.annotations import msvd
from stgt_mm.preparation.command_line import split_converter

main = split_converter(__doc__, msvd)

if __name__ == '__main__':
    sys.exit(run_tool(main))
