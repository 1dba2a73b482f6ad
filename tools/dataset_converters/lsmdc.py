"""Makes annotation files (JSON lines) from those of LSMDC.

The folder holds LSMDC16_annos_training.csv, LSMDC16_annos_val.csv and
LSMDC16_challenge_1000_publictect.csv; what is absent leaves its split out.

Example:
  python tools/dataset_converters/lsmdc.py downloads/lsmdc data/lsmdc --video-root data/lsmdc/videos
"""

import sys

from stgt_mm.engine.cli import run_tool
from stgt_mm.preparation.annotations import lsmdc
from stgt_mm.preparation.command_line import split_converter

main = split_converter(__doc__, lsmdc)

if __name__ == '__main__':
    sys.exit(run_tool(main))
