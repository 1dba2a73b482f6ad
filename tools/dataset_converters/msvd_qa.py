"""Makes annotation files (JSON lines) from those of MSVD-QA.

The folder holds train_qa.json, val_qa.json, test_qa.json, and youtube_mapping.txt; or LAVIS's lists, which
are called qa_train.json and so on. What is absent leaves its split out.

Example:
  python tools/dataset_converters/msvd_qa.py downloads/msvd_qa data/msvd_qa --answers 1000
"""

import sys

from stgt_mm.engine.cli import run_tool
from stgt_mm.preparation.annotations import msvd_qa
from stgt_mm.preparation.command_line import split_converter

main = split_converter(__doc__, msvd_qa, subject='question')

if __name__ == '__main__':
    sys.exit(run_tool(main))
