"""Prints a config with its bases and overrides applied.

Example:
    python tools/misc/print_config.py configs/moving_shapes/stgt_tiny.py --cfg-options train_cfg.max_epochs=3
"""

import sys
from collections.abc import Sequence

from stgt_mm.engine.cli import add_config_options, described_parser, run_tool


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the config, or saves it to a file that loads again."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument('--out', help='save to this .py file')
    args = parser.parse_args(argv)
    from stgt_mm.config import load_config, parse_overrides

    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    if args.out is None:
        print(cfg.pretty_text)
    else:
        cfg.dump(args.out)


if __name__ == '__main__':
    sys.exit(run_tool(main))
