"""Finds the moments of your videos that fit a sentence.

The first time the videos are encoded, later only those that are new or have changed. Prints the hits and
draws their frames.

Example:
    python demo/search.py --videos data/moving_shapes/test.jsonl --video-root data/moving_shapes/videos \
        --query 'a big red square moves downwards'
    python demo/search.py --videos ~/holiday --query 'a dog jumps' --window-s 10 --stride-s 5 \
        --config my.py --checkpoint epoch_10.pth
    python demo/search.py --index work_dirs/search/holiday --query 'a dog sleeps'
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.jobs.options import add_ray_options, ray_of

CONFIG = 'configs/moving_shapes/stgt_tiny.py'
CHECKPOINT = 'work_dirs/quickstart/best_t2v_Rmean.pth'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the options."""
    parser = described_parser(__doc__)
    parser.add_argument('--query', required=True, metavar='TEXT')
    parser.add_argument(
        '--videos', nargs='+', metavar='PATH', help='folder, files or JSON lines; without, the index as it is'
    )
    parser.add_argument('--video-root', help='what paths in JSON lines are relative to, default its folder')
    parser.add_argument(
        '--index',
        help='folder or qdrant://host:port/collection, default work_dirs/search/<name of --videos>',
    )
    parser.add_argument('--config', default=CONFIG, help=f'default {CONFIG}')
    parser.add_argument('--checkpoint', default=CHECKPOINT, help=f'default {CHECKPOINT}')
    parser.add_argument('--k', type=int, default=5, help='hits')
    parser.add_argument('--window-s', type=float, help='seconds of a moment, default whole videos')
    parser.add_argument('--stride-s', type=float, help='from one moment to the next, default --window-s')
    parser.add_argument('--group-by', choices=('video', 'moment'), default='video')
    parser.add_argument('--sheet', help='the picture of the hits, default hits.png in the index folder')
    parser.add_argument('--device', help="'cpu' or 'cuda:0', default a GPU if there is one")
    add_ray_options(parser)
    args = parser.parse_args(argv)
    if args.videos is None and args.engine == 'ray':
        parser.error('--engine ray encodes --videos: give these')
    if args.videos is None and args.index is None:
        parser.error('give --videos, --index or both')
    if args.index is None:
        args.index = str(Path('work_dirs/search') / Path(args.videos[0]).expanduser().resolve().stem)
    if args.sheet is None:
        args.sheet = str((Path('.') if '://' in args.index else Path(args.index)) / 'hits.png')
    return args


def clock(seconds: float | None) -> str:
    """Writes a time in a video: ``1:02:03.4``, ``2:03.4``."""
    if seconds is None:
        return '?'
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f'{hours}:{minutes:02d}:{rest:04.1f}' if hours else f'{minutes}:{rest:04.1f}'


def table(hits: Sequence[Any]) -> str:
    """Lays out hits, a line each."""
    from stgt_mm.evaluation.tables import aligned

    rows = [['', 'video', 'from', 'to', 'score', 'similarity', 'match']]
    for place, hit in enumerate(hits, start=1):
        matching = '-' if hit.matching is None else f'{hit.matching:.3f}'
        scores = [f'{hit.score:.3f}', f'{hit.similarity:.3f}', matching]
        rows.append([str(place), hit.path, clock(hit.start), clock(hit.end), *scores])
    return '\n'.join(aligned(rows))


def main(argv: Sequence[str] | None = None) -> None:
    """Brings the index up to date, searches, prints and draws."""
    args = parse_args(argv)
    engine = ray_of(args)
    from stgt_mm.apis import VideoTextRetriever
    from stgt_mm.visualization.contact_sheet import contact_sheet

    retriever = VideoTextRetriever(
        args.config,
        args.checkpoint,
        args.device,
        index=args.index,
        window_s=args.window_s,
        stride_s=args.stride_s,
        engine=engine,
    )
    if args.videos is not None:
        print(retriever.index(args.videos, args.video_root))
    hits = retriever.search(args.query, k=args.k, group_by=args.group_by)
    if not hits:
        remedy = 'none of the files could be read' if args.videos else 'give --videos'
        print(f"the index '{args.index}' is empty: {remedy}")
        return
    print(f'\n{args.query}\n{table(hits)}')
    texts = [f'{place}  {hit.score:.3f}  {hit.path}  {clock(hit.start)}' for place, hit in enumerate(hits, 1)]
    print(f'\nframes: {contact_sheet([retriever.frames(hit) for hit in hits], texts, args.sheet)}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
