"""Draws what two models answer to questions about videos: Figures 10 and 11.

Example:
  python tools/visualization/answers.py CONFIG CHECKPOINT --against CONFIG CHECKPOINT \
      --ask a.mp4 'what is the man doing?' running --ask b.mp4 'what colour is the car?' --out answers.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.engine.cli import add_picture_options, described_parser, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_picture_options(parser, 'answers.png')
    parser.add_argument(
        '--against', nargs=2, required=True, metavar=('CONFIG', 'CHECKPOINT'), help='the other model'
    )
    parser.add_argument('--names', nargs=2, help='names of the models, default those of their configs')
    parser.add_argument(
        '--ask',
        nargs='+',
        action='append',
        required=True,
        metavar='WORD',
        help='a video, a question in quotes and, where it is known, the answer; may be given several times',
    )
    parser.add_argument('--device', help='by default a GPU if there is one')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Asks both models, and draws."""
    args = parse_args(argv)
    if wrong := [own for own in args.ask if len(own) not in (2, 3)]:
        raise ValueError(f"--ask {' '.join(wrong[0])}: VIDEO 'QUESTION', or VIDEO 'QUESTION' 'ANSWER'.")
    from stgt_mm.apis.base import clip_pipeline, load_model
    from stgt_mm.apis.shown_clip import read_shown_clip
    from stgt_mm.visualization.comparison import Answered, draw_answers

    answers, frames = [], []
    for config, checkpoint in ((args.config, args.checkpoint), args.against):
        model, cfg = load_model(
            load_config(config, parse_overrides(args.cfg_options)), checkpoint, args.device
        )
        if not hasattr(model, 'answer'):
            raise ValueError(f'{config} is of a {type(model).__name__}, which answers no questions.')
        pipeline = clip_pipeline(cfg)
        clips = [read_shown_clip(model, pipeline, video) for video, *_ in args.ask]
        frames = [clip.frames for clip in clips]
        asked = [model.answer(clip.inputs, [own[1]], k=1) for clip, own in zip(clips, args.ask)]
        answers.append([best[0][0] for (best,) in asked])
    drawn = [
        Answered(clip, own[1], said, *own[2:]) for clip, own, said in zip(frames, args.ask, zip(*answers))
    ]
    names = args.names or [Path(config).stem for config in (args.config, args.against[0])]
    print(draw_answers(drawn, names, args.out))


if __name__ == '__main__':
    sys.exit(run_tool(main))
