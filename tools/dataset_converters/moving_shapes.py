"""Renders the Moving Shapes benchmark: mp4 files, annotations, question-answer pairs, a contact sheet.

Example:
    python tools/dataset_converters/moving_shapes.py data/moving_shapes --jobs 2

A second call with the same options finds everything in place and returns at once; an interrupted one
renders what is missing.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.io.marker import marker_fits, write_marker
from stgt_mm.moving_shapes.build import clip_frames, render_clips, write_annotations
from stgt_mm.moving_shapes.contact_sheet import draw_contact_sheet, representative_clips
from stgt_mm.moving_shapes.meaning import FAMILIES
from stgt_mm.moving_shapes.sets import Benchmark, make_benchmark

STATE_FILE = 'moving_shapes.json'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    parser.add_argument('root', type=Path, help='folder of the benchmark, e.g. data/moving_shapes')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--train', type=int, default=8000, help='training clips, a multiple of 4')
    parser.add_argument('--val', type=int, default=240, help='validation clips')
    parser.add_argument('--test', type=int, default=500, help='test clips')
    parser.add_argument('--one-fact', type=int, default=1000, help='triples of the one_fact set')
    parser.add_argument('--jobs', type=int, default=min(os.cpu_count() or 1, 8), help='processes')
    parser.add_argument('--force', action='store_true', help='render again what is there')
    return parser.parse_args(argv)


def fingerprint(benchmark: Benchmark) -> str:
    """Returns a hash of what all clips say and of what one clip a family looks like."""
    digest = sha256(json.dumps([asdict(clip) for clip in benchmark.clips]).encode())
    for clip in representative_clips(benchmark, len(FAMILIES)):
        digest.update(clip_frames(clip).tobytes())
    return digest.hexdigest()


def main(argv: Sequence[str] | None = None) -> None:
    """Makes the benchmark in the folder that the command line names."""
    args = parse_args(argv)
    if args.jobs < 1:
        raise ValueError(f'--jobs {args.jobs}: at least one process.')
    start = time.monotonic()
    benchmark = make_benchmark(args.seed, args.train, args.val, args.test, args.one_fact)
    state = {'seed': args.seed, 'clips': len(benchmark.clips), 'fingerprint': fingerprint(benchmark)}
    state_path, videos = args.root / STATE_FILE, args.root / 'videos'
    if args.force or not marker_fits(state_path, state):
        for stale in videos.glob('video*.mp4'):
            stale.unlink()
    args.root.mkdir(parents=True, exist_ok=True)
    write_marker(state_path, state)
    write_annotations(benchmark, args.root)
    missing = [c for c in benchmark.clips if not (videos / f'{c.video_id}.mp4').exists()]
    if missing:
        render_clips(missing, videos, args.jobs)
        print(f'rendered {len(missing)}/{len(missing)} clips')
        draw_contact_sheet(benchmark, args.root / 'contact_sheet.png')
    counts = ', '.join(f'{split} {len(benchmark.of(split))}' for split in ('train', 'val', 'test', 'extra'))
    print(f'{args.root}: {counts} clips; {len(benchmark.backwards)} backwards, '
          f'{len(benchmark.one_fact)} one-fact triples; {time.monotonic() - start:.0f} s')  # fmt: skip


if __name__ == '__main__':
    sys.exit(run_tool(main))
