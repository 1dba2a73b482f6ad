"""Draws where in a clip an S-ViLM sees what noun phrases name, each by the group that fits it best: Figure 4.

Example:
  python tools/visualization/noun_grounding.py CONFIG CHECKPOINT VIDEO --phrases 'red circle' 'blue ring'
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.engine.cli import add_picture_options, described_parser, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_picture_options(parser, 'noun_grounding.png')
    parser.add_argument('video', help='video file')
    parser.add_argument('--phrases', nargs='+', required=True, metavar='PHRASE', help='in quotes, no article')
    parser.add_argument('--device', help='by default a GPU if there is one')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Loads model and clip, chooses the groups and draws their regions."""
    args = parse_args(argv)
    from stgt_mm.apis.base import clip_pipeline, load_model
    from stgt_mm.apis.shown_clip import read_shown_clip
    from stgt_mm.functional.region_maps import group_regions
    from stgt_mm.visualization.grouping_pictures import draw_grounding
    from stgt_mm.visualization.grouping_view import GROUP_MEANS, HEAD, phrase_similarities, view_groups

    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    model, cfg = load_model(cfg, args.checkpoint, args.device)
    clip = read_shown_clip(model, clip_pipeline(cfg), args.video)
    view = view_groups(model, clip.inputs['video'])
    # the head that grounding trains, or else the patches of each group by the contrast
    ways = phrase_similarities(model, view, args.phrases)
    way = HEAD if HEAD in ways else GROUP_MEANS
    chosen = ways[way][0].argmax(dim=1).tolist()
    repeats = len(clip.frames) // view.shares.shape[2]
    regions = group_regions(view.shares, tuple(clip.frames.shape[2:]))[0].repeat_interleave(repeats, dim=0)
    found = {phrase: (regions == group).cpu() for phrase, group in zip(args.phrases, chosen)}
    path = draw_grounding(clip.frames, clip.titles, found, args.out)
    groups = ', '.join(f'{phrase}: {group}' for phrase, group in zip(args.phrases, chosen))
    print(f'groups by the {way} ({groups}): {path}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
