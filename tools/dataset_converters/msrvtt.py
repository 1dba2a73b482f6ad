"""Makes annotation files (JSON lines) from those of MSR-VTT.

The folder holds MSRVTT_data.json (or train_val_videodatainfo.json and test_videodatainfo.json),
MSRVTT_JSFUSION_test.csv, MSRVTT_train.9k.csv and MSRVTT_train.7k.csv; what is absent leaves its split out.

Example:
  python tools/dataset_converters/msrvtt.py downloads/msrvtt data/msrvtt --video-root data/msrvtt/videos
"""

import sys

from stgt_mm.engine.cli import run_tool
from stgt_mm.preparation.annotations import msrvtt
from stgt_mm.preparation.command_line import split_converter

main = split_converter(__doc__, msrvtt)

if __name__ == '__main__':
    sys.exit(run_tool(main))
