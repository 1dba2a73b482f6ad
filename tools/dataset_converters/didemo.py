"""Makes annotation files (JSON lines) from those of DiDeMo.

The folder holds train_data.json, val_data.json, test_data.json and the lists ce_train_list.txt (or
train_list.txt) and so on; what is absent leaves its split out. A video gets one paragraph.

Example:
  python tools/dataset_converters/didemo.py downloads/didemo data/didemo --video-root data/didemo/videos
"""

import sys

from stgt_mm.engine.cli import run_tool
from stgt_mm.preparation.annotations import didemo
from stgt_mm.preparation.command_line import split_converter

main = split_converter(__doc__, didemo)

if __name__ == '__main__':
    sys.exit(run_tool(main))
