"""Draws a clip with a segment pasted into another, and which frames a model takes for it: Figure 5.

The curve a_t is the foreground probability as the loss has it, with centres that are made with the true
segment; the other leaves each frame out of its centre, so that it is not found by itself.

Example:
  python tools/visualization/temporal_grouping.py CONFIG CHECKPOINT VIDEO BACKGROUND --seed 1
"""

import argparse
import sys
from collections.abc import Sequence

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.engine.cli import add_picture_options, described_parser, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_picture_options(parser, 'temporal_grouping.png')
    parser.add_argument('video', help='video file that a segment is taken of')
    parser.add_argument('background', help='video file that it is pasted into')
    parser.add_argument('--seed', type=int, default=0, help='of the segment')
    parser.add_argument('--device', help='by default a GPU if there is one')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Loads model and clips, blends them, looks at the frames and draws."""
    args = parse_args(argv)
    import torch
    from torch.nn import functional as F

    from stgt_mm.apis.base import clip_pipeline, load_model
    from stgt_mm.apis.shown_clip import read_shown_clip
    from stgt_mm.functional.cut_paste import blend_clips
    from stgt_mm.functional.found_segments import left_out_probability
    from stgt_mm.functional.temporal_grouping import foreground_probability
    from stgt_mm.visualization.grouping_pictures import draw_segment
    from stgt_mm.visualization.grouping_view import draw_blend, frame_features, grouping_temperature

    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    model, cfg = load_model(cfg, args.checkpoint, args.device)
    clips = [read_shown_clip(model, clip_pipeline(cfg), path) for path in (args.video, args.background)]
    video = torch.cat([clip.inputs['video'] for clip in clips])
    size = tuple(clips[0].frames.shape[2:])
    shown = torch.stack([F.interpolate(clip.frames.float(), size, mode='bilinear').byte() for clip in clips])
    segments = draw_blend(model, video, args.seed)
    tubelet = video.shape[1] // model.time_steps({'video': video})
    blended, masks = blend_clips(video, segments, tubelet)
    features, temperature = frame_features(model, blended), grouping_temperature(model)
    curves = {
        '$a_t$': foreground_probability(features, masks, temperature)[0].cpu(),
        'without the\nframe itself': left_out_probability(features, masks, temperature)[0].cpu(),
    }
    frames = blend_clips(shown, segments, tubelet)[0][0]
    titles = [f'{number}' for number in range(len(frames))]
    mask = masks[0].cpu()
    path = draw_segment(frames, titles, mask, curves, args.out)
    right = [f'{name.split()[0]} {int(((own > 0.5) == (mask > 0)).sum())}' for name, own in curves.items()]
    print(f'of {len(mask)} time steps right: {", ".join(right)}: {path}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
