"""Draws what a token of a clip is linked with and attends to: Figure 8; at several h: Figure 15.

Example:
  python tools/visualization/graph_links.py CONFIG CHECKPOINT VIDEO --frame 3 --point 0.5 0.5 --out links.png
  python tools/visualization/graph_links.py CONFIG CHECKPOINT VIDEO --point 0.3 0.5 --point 0.7 0.5 \
      --thresholds 0.1 0.3 0.5 0.8 --out thresholds.png
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.engine.cli import add_picture_options, described_parser, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_picture_options(parser, 'graph_links.png')
    parser.add_argument('video', help='video file')
    parser.add_argument(
        '--frame', type=int, help='frame of the clip that the token is in, default the middle'
    )
    parser.add_argument(
        '--point',
        nargs=2,
        type=float,
        action='append',
        metavar=('X', 'Y'),
        help='where the token is, as shares of width and height, default 0.5 0.5; several with --thresholds',
    )
    parser.add_argument('--layer', type=int, default=0, help='block of STGT')
    parser.add_argument(
        '--thresholds', nargs='+', type=float, metavar='H', help="one h each, instead of the config's"
    )
    parser.add_argument('--device', help='by default a GPU if there is one')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Loads model and clip, looks at the tokens and draws them."""
    args = parse_args(argv)
    points = args.point or [[0.5, 0.5]]
    if any(not 0 <= share < 1 for point in points for share in point):
        raise ValueError(f'--point {points}: shares of width and height are at least 0 and below 1.')
    if len(points) > 1 and not args.thresholds:
        raise ValueError('several --point need --thresholds: the picture without them is of one token.')
    from stgt_mm.apis.base import clip_pipeline, load_model
    from stgt_mm.apis.shown_clip import read_shown_clip
    from stgt_mm.visualization.graph_pictures import draw_links, draw_thresholds
    from stgt_mm.visualization.token_view import graph_neck, view_tokens

    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    model, cfg = load_model(cfg, args.checkpoint, args.device)
    clip = read_shown_clip(model, clip_pipeline(cfg), args.video)
    rows, columns = graph_neck(model).grid_size
    frame = len(clip.frames) // 2 if args.frame is None else args.frame
    tokens = [(frame, int(y * rows), int(x * columns)) for x, y in points]
    views = [
        view_tokens(model, clip.inputs, tokens, h, args.layer)
        for h in sorted(args.thresholds or []) or [None]
    ]
    if args.thresholds:
        path = draw_thresholds(list(zip(*views)), clip.frames, clip.titles, args.out)
    else:
        path = draw_links(views[0][0], clip.frames, clip.titles, args.out)
    print(f'tokens (frame, row, column) {", ".join(map(str, tokens))}: {path}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
