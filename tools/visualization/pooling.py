"""Draws where the max-pooling of STGT samples each frame of a clip, along both axes: Figure 9.

Example:
  python tools/visualization/pooling.py CONFIG CHECKPOINT VIDEO --out pooling.png
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.engine.cli import add_picture_options, described_parser, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_picture_options(parser, 'pooling.png')
    parser.add_argument('video', help='video file')
    parser.add_argument('--device', help='by default a GPU if there is one')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Loads model and clip, and draws."""
    args = parse_args(argv)
    from stgt_mm.apis.base import clip_pipeline, load_model
    from stgt_mm.apis.shown_clip import read_shown_clip
    from stgt_mm.visualization.graph_pictures import draw_pooling
    from stgt_mm.visualization.token_view import view_pooling

    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    model, cfg = load_model(cfg, args.checkpoint, args.device)
    clip = read_shown_clip(model, clip_pipeline(cfg), args.video)
    print(draw_pooling(view_pooling(model, clip.inputs), clip.frames, clip.titles, args.out))


if __name__ == '__main__':
    sys.exit(run_tool(main))
